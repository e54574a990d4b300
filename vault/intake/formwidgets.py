"""Fields to fill in on a screen, laid over a printed form: labelled, in reading order, part of the tag tree."""

from collections.abc import Mapping
from typing import Final

import pikepdf
from pikepdf import Array, Dictionary, Name, String

from vault.intake.forms import CHOICES, Box, Field, FieldKind, Form, Option

_MM: Final = 72 / 25.4  # points in a millimetre
_MULTILINE, _NO_TOGGLE_OFF, _RADIO, _NO_SPELLING, _NO_SCROLL, _COMB = (1 << bit for bit in (12, 14, 15, 22, 23, 24))
_PRINT: Final = 4  # the annotation is printed
_FONT_SIZE: Final = 11  # points
_FONT_SIZE_OF_LINES: Final = 9
_AIR: Final = 1.0  # mm between a frame and what is typed
_FLAGS = {FieldKind.LINES: _MULTILINE, FieldKind.CODE: _COMB | _NO_SPELLING, FieldKind.EMAIL: _NO_SPELLING}


def add(pdf: pikepdf.Pdf, form: Form, texts: Mapping[str, str]) -> None:
    """Put the form's fields on the first page of ``pdf``.

    :param texts: field name (and ``field.option``) to the words that a screen reader says.
    """
    page = pdf.pages[0].obj
    page.Annots = page.get("/Annots", Array())
    page.Tabs = Name.S
    pdf.Root.ViewerPreferences = Dictionary(DisplayDocTitle=True)
    pdf.Root.AcroForm = pdf.make_indirect(Dictionary(Fields=Array(), DA=_appearance(), DR=_resources(pdf)))
    tags = _Tags(pdf, page)
    for field in form.fields:
        if field.kind in CHOICES:
            _add_choice(pdf, tags, form, field, texts)
        elif field.kind is not FieldKind.INK:
            widget = _text_widget(pdf, form, field, texts[field.name])
            pdf.Root.AcroForm.Fields.append(widget)
            tags.add(widget, texts[field.name])


def _text_widget(pdf: pikepdf.Pdf, form: Form, field: Field, label: str) -> pikepdf.Object:
    widget = _widget(pdf, form, field.box if field.kind is FieldKind.CODE else field.box.inset(_AIR))
    widget.FT = Name.Tx
    widget.T = String(field.name)
    widget.TU = String(label)
    widget.DA = _appearance(_FONT_SIZE_OF_LINES if field.kind is FieldKind.LINES else _FONT_SIZE)
    widget.Ff = _FLAGS.get(field.kind, 0) | _NO_SCROLL  # what does not fit would not be printed
    widget.MaxLen = field.longest
    return widget


def _add_choice(pdf: pikepdf.Pdf, tags: "_Tags", form: Form, field: Field, texts: Mapping[str, str]) -> None:
    parent = pdf.make_indirect(Dictionary(FT=Name.Btn, T=String(field.name), TU=String(texts[field.name])))
    parent.Kids = Array()
    if field.kind is FieldKind.ONE:
        parent.Ff = _RADIO | _NO_TOGGLE_OFF
        parent.V = Name.Off
    for option in field.options:
        widget = _tick_widget(pdf, form, option)
        words = texts[f"{field.name}.{option.value}"]
        widget.TU = String(words)
        widget.Parent = parent
        if field.kind is FieldKind.MANY:
            widget.FT, widget.T, widget.V = Name.Btn, String(option.value), Name.Off
        parent.Kids.append(widget)
        tags.add(widget, words)
    pdf.Root.AcroForm.Fields.append(parent)


def _tick_widget(pdf: pikepdf.Pdf, form: Form, option: Option) -> pikepdf.Object:
    widget = _widget(pdf, form, option.box)
    side = option.box.width * _MM
    low, high = side * 0.22, side * 0.78
    cross = (
        f"q 1.5 w 1 J {low:.2f} {low:.2f} m {high:.2f} {high:.2f} l {low:.2f} {high:.2f} m {high:.2f} {low:.2f} l S Q"
    )
    extent = Array([0, 0, side, side])
    states = {f"/{option.value}": cross, "/Off": ""}
    widget.AP = Dictionary(N=Dictionary())
    for state, drawing in states.items():
        widget.AP.N[state] = pdf.make_stream(
            drawing.encode("ascii"), Type=Name.XObject, Subtype=Name.Form, BBox=extent, Resources=Dictionary()
        )
    widget.AS = Name.Off
    widget.MK = Dictionary(CA=String("8"))
    return widget


def _widget(pdf: pikepdf.Pdf, form: Form, box: Box) -> pikepdf.Object:
    left, right = box.x * _MM, (box.x + box.width) * _MM
    top, bottom = (form.page.height - box.y) * _MM, (form.page.height - box.y - box.height) * _MM
    corners = Array([round(number, 2) for number in (left, bottom, right, top)])
    page = pdf.pages[0].obj
    widget = pdf.make_indirect(Dictionary(Type=Name.Annot, Subtype=Name.Widget, Rect=corners, F=_PRINT, P=page))
    page.Annots.append(widget)
    return widget


def _appearance(size: int = _FONT_SIZE) -> String:
    return String(f"/Helv {size} Tf 0 g")


def _resources(pdf: pikepdf.Pdf) -> Dictionary:
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica, Encoding=Name.WinAnsiEncoding)
    return Dictionary(Font=Dictionary(Helv=pdf.make_indirect(font)))


class _Tags:
    """Appends Form elements to the document's tag tree, so that the fields are read after their labels."""

    def __init__(self, pdf: pikepdf.Pdf, page: pikepdf.Object) -> None:
        self._pdf, self._page = pdf, page
        self._root = pdf.Root.StructTreeRoot
        self._document = self._root.K[0] if isinstance(self._root.K, Array) else self._root.K
        self._next = int(self._root.get("/ParentTreeNextKey", 0))

    def add(self, widget: pikepdf.Object, label: str) -> None:
        target = Dictionary(Type=Name.OBJR, Obj=widget, Pg=self._page)
        element = self._pdf.make_indirect(
            Dictionary(Type=Name.StructElem, S=Name.Form, P=self._document, Alt=String(label), K=target)
        )
        self._document.K.append(element)
        widget.StructParent = self._next
        self._root.ParentTree.Nums.append(self._next)
        self._root.ParentTree.Nums.append(element)
        self._next += 1
        self._root.ParentTreeNextKey = self._next
