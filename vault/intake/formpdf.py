"""Print a form: one tagged PDF page made by typst, with fields that can be filled in on a screen.

The same input gives the same bytes, so a printed stock of forms can be compared with the program.
"""

import dataclasses
import functools
import io
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

import pikepdf
import typst
import zxingcpp

from vault.errors import WrongUseError
from vault.intake import formwidgets
from vault.intake.forms import Form
from vault.intake.formtexts import TEXTS

_MADE = 1_767_225_600  # 2026-01-01: the layout's date, so that the bytes do not depend on today
# which field begins a section, and how far down its heading stands (mm)
_SECTIONS = (("name", 57.0), ("kinds", 113.5), ("answer_by", 168.5), ("for_whom", 198.5))
_CAPTIONS = ("answer_by", "language")  # choices that carry a caption of their own


@dataclass(frozen=True, slots=True)
class Sender:
    """The controller to whom the form goes back; an empty one leaves these lines out."""

    name: str = ""
    address: tuple[str, ...] = ()


def print_form(form: Form, language: str, sender: Sender | None = None) -> bytes:
    """Return the empty form as a fillable PDF.

    :param language: one of the form's languages.
    :raises WrongUseError: the form was never printed in this language.
    """
    if language not in form.languages:
        raise WrongUseError("form_language", f"choose a language that the form has: {', '.join(form.languages)}")
    texts = TEXTS[language]
    page = typst.compile(
        _template(),
        sys_inputs={"data": json.dumps(_data(form, language, sender or Sender()))},
        ignore_system_fonts=True,
        timestamp=_MADE,
    )
    with pikepdf.open(io.BytesIO(page)) as pdf:
        formwidgets.add(pdf, form, texts)
        target = io.BytesIO()
        pdf.save(target, deterministic_id=True)
    return target.getvalue()


@functools.cache
def _template() -> bytes:
    return resources.files("vault.intake").joinpath("templates/form.typ").read_bytes()


def _data(form: Form, language: str, sender: Sender) -> dict[str, Any]:
    code = zxingcpp.create_barcode(form.payload(language), zxingcpp.QRCode, ec_level="H")
    return {
        "language": language,
        "texts": TEXTS[language],
        "sender": dataclasses.asdict(sender),
        "page": dataclasses.asdict(form.page),
        "qr": dataclasses.asdict(form.qr),
        "code": code.to_svg(add_quiet_zones=False),
        "marks": [dataclasses.asdict(mark) for mark in form.marks],
        "items": _items(form),
        "captions": _CAPTIONS,
        "imprint": f"{form.name} {form.version} {language}",
    }


def _items(form: Form) -> list[dict[str, Any]]:
    sections = {name: (number, y) for number, (name, y) in enumerate(_SECTIONS, start=1)}
    items: list[dict[str, Any]] = []
    for field in form.fields:
        number, y = sections.get(field.name, (0, 0.0))
        if number:
            items.append({"key": f"s{number}", "number": str(number), "y": y})
        items.append(dataclasses.asdict(field))
    return items
