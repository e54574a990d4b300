"""Several of our PDFs become one that is still tagged: structure, bookmarks and language survive for screen readers.

pikepdf copies pages; what says which text is a heading or a table's header stands beside them in a
structure tree, whose keys have to be shifted so that the trees of several files fit into one.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, OutlineItem, Pdf, String

from vault.domain.private import Private
from vault.errors import UnreadableError


def join_pdfs(pdfs: Sequence[bytes], *, title: str, language: str) -> bytes:
    """Join PDFs in order; equal input gives equal bytes.

    :param title: of the whole; names the kind and the case only.
    :raises UnreadableError: one of them can't be read, or there is none.
    """
    with joined(pdfs, title, language) as whole:
        target = io.BytesIO()
        whole.save(target, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return target.getvalue()


def joined(pdfs: Sequence[bytes], title: str, language: str) -> Pdf:
    """Join PDFs in order, each with a bookmark under its own title; the caller saves and closes the result.

    :raises UnreadableError: one of them can't be read, or there is none.
    """
    target = Pdf.new()
    try:
        tree = _Structure(target)
        for pdf in pdfs:
            tree.add(Pdf.open(io.BytesIO(pdf)))
        tree.close()
    except (pikepdf.PdfError, KeyError, AttributeError, ValueError, TypeError):
        raise _unreadable() from None
    if not pdfs:
        raise _unreadable()
    _frame(target, title, language)
    return target


def page_count(pdf: bytes) -> int:
    """Count the pages of a PDF.

    :raises UnreadableError: it can't be read.
    """
    try:
        with Pdf.open(io.BytesIO(pdf)) as opened:
            return len(opened.pages)
    except pikepdf.PdfError:
        raise _unreadable() from None


def _unreadable() -> UnreadableError:
    return UnreadableError("pdf_unreadable", "a document is no PDF of ours; draft anew")


def _frame(target: Pdf, title: str, language: str) -> None:
    target.Root.Lang = String(language)
    target.Root.MarkInfo = Dictionary(Marked=True)
    target.Root.ViewerPreferences = Dictionary(DisplayDocTitle=True)
    target.Root.PageMode = Name.UseOutlines
    target.docinfo[Name.Title] = String(title)
    with target.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as metadata:
        metadata["dc:title"] = title
        metadata["dc:language"] = {language}


class _Structure(Private):
    """The joined file's structure tree while it grows."""

    def __init__(self, target: Pdf) -> None:
        self._target = target
        self._root = target.make_indirect(Dictionary(Type=Name.StructTreeRoot))
        self._whole = target.make_indirect(Dictionary(Type=Name.StructElem, S=Name.Document, P=self._root))
        self._kids = Array()
        self._parents: list[Any] = []
        self._ids: list[tuple[str, Any]] = []
        self._roles = Dictionary()
        self._next = 0
        self._count = 0

    def add(self, source: Pdf) -> None:
        """Append a file's pages, its branch of the tree and its bookmark."""
        start = len(self._target.pages)
        self._target.pages.extend(source.pages)
        for page in self._target.pages[start:]:
            self._shift(page.obj)
        with self._target.open_outline() as outline:
            outline.root.append(OutlineItem(str(source.docinfo.get(Name.Title, "")), start))
        theirs = source.Root.StructTreeRoot
        branch = self._target.copy_foreign(theirs if theirs.is_indirect else source.make_indirect(theirs))
        self._graft(branch)
        self._next += int(branch.ParentTreeNextKey)
        self._count += 1

    def close(self) -> None:
        """Hang the finished tree into the file."""
        ids = [
            part for name, element in sorted(self._ids, key=lambda pair: pair[0]) for part in (String(name), element)
        ]
        self._whole.K = self._kids
        self._root.K = Array([self._whole])
        self._root.ParentTree = self._target.make_indirect(Dictionary(Nums=Array(self._parents)))
        self._root.ParentTreeNextKey = self._next
        self._root.RoleMap = self._roles
        if ids:
            self._root.IDTree = self._target.make_indirect(Dictionary(Names=Array(ids)))
        self._target.Root.StructTreeRoot = self._root

    def _shift(self, page: Any) -> None:
        if Name.StructParents in page:
            page.StructParents = int(page.StructParents) + self._next
        for annotation in page.get(Name.Annots, []):
            if Name.StructParent in annotation:
                annotation.StructParent = int(annotation.StructParent) + self._next

    def _graft(self, branch: Any) -> None:
        for kid in branch.K:
            kid.P = self._whole
            if str(kid.S) == "/Document":
                kid.S = Name.Part
            self._kids.append(kid)
            self._rename(kid)
        for key, value in _pairs(branch.ParentTree, Name.Nums):
            self._parents += [int(key) + self._next, value]
        self._ids += [(self._own(str(name)), element) for name, element in _pairs(branch.get(Name.IDTree), Name.Names)]
        for role, standard in branch.get(Name.RoleMap, Dictionary()).items():
            self._roles[role] = standard

    def _own(self, name: str) -> str:
        return f"{self._count}-{name}"

    def _rename(self, element: Any) -> None:
        """Make the names that a table's cells know their headers by unique in the joined file."""
        if not isinstance(element, Dictionary) or Name.S not in element:
            return
        if Name.ID in element:
            element.ID = String(self._own(str(element.ID)))
        for attributes in element.get(Name.A, []):
            if isinstance(attributes, Dictionary) and Name.Headers in attributes:
                attributes.Headers = Array([String(self._own(str(header))) for header in attributes.Headers])
        for kid in element.get(Name.K, []):
            self._rename(kid)


def _pairs(tree: Any, leaf: Name) -> Iterator[tuple[Any, Any]]:
    """Walk a number or name tree."""
    if tree is None:
        return
    for kid in tree.get(Name.Kids, []):
        yield from _pairs(kid, leaf)
    flat = list(tree.get(leaf, []))
    yield from zip(flat[::2], flat[1::2], strict=True)
