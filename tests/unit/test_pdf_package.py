"""PDF packages: AES-256, one file to read and every file inside; joined PDFs stay tagged."""

import io
import time
from functools import cache

import pikepdf
import pytest

from vault.domain.records import Json
from vault.errors import RefusedError, UnreadableError
from vault.package.documents import render_documents
from vault.package.letters import Enclosure, paper_cover
from vault.package.pdf_package import join_pdfs, make_pdf_package, page_count
from vault.testing.answers import CASE, CONTROLLER, MADE, RECIPIENT, heading, make_record, shows

PHRASE = "008j4-ct4an-k7f24-snaxw-sqfez"


@cache
def files() -> dict[str, bytes]:
    lines: list[Json] = [{"text": "a", "quantity": 1, "unit_cents": 1, "total_cents": 1}]
    records = [make_record("visit", {"place": f"paikka {at}"}, ref=f"R-{at:02d}") for at in range(12)]
    records += [make_record("invoice", {"lines": lines}, ref="I")]
    documents = render_documents(records, "sv", CONTROLLER, CASE, MADE)
    cover = paper_cover(heading("sv"), RECIPIENT, [Enclosure("Besök", pages=2)])
    made = {"00-letter.pdf": cover}
    for document in documents:
        made |= {f"{document.id}.pdf": document.pdf, f"{document.id}.json": document.json()}
    return {**made, "manifest.json": b"{}"}


def pdfs() -> list[bytes]:
    return [data for name, data in files().items() if name.endswith(".pdf")]


def opened(passphrase: str = PHRASE) -> pikepdf.Pdf:
    return pikepdf.open(io.BytesIO(make_pdf_package(files(), PHRASE, title=CASE, language="sv")), password=passphrase)


def test_every_file_lies_in_it_unchanged() -> None:
    with opened() as pdf:
        assert {name: pdf.attachments[name].get_file().read_bytes() for name in pdf.attachments} == files()


def test_its_pages_are_those_of_the_documents_in_order() -> None:
    with opened() as pdf:
        assert len(pdf.pages) == sum(page_count(data) for data in pdfs())
    whole = join_pdfs(pdfs(), title=CASE, language="sv")
    assert shows(whole, "Vårt svar på papper", "paikka 0", "paikka 11", "Enhetspris")


def test_it_is_sealed_with_aes_256_and_forbids_its_owner_nothing() -> None:
    with opened() as pdf:
        assert (pdf.encryption.R, pdf.encryption.bits) == (6, 256)
        assert pdf.encryption.stream_method == pikepdf.models.EncryptionMethod.aesv3
        assert all(pdf.allow)


@pytest.mark.parametrize("wrong", ["", PHRASE[:-1], PHRASE.upper(), PHRASE.replace("-", " ")])
def test_another_passphrase_does_not_open_it(wrong: str) -> None:
    with pytest.raises(pikepdf.PasswordError):
        opened(wrong)


def test_nothing_readable_is_left_outside_the_seal() -> None:
    sealed = make_pdf_package(files(), PHRASE, title=CASE, language="sv")
    for word in (b"paikka", b"visits", b"Eeva", CASE.encode(), CASE.encode("utf-16-be"), CONTROLLER.name.encode()):
        assert word not in sealed


@pytest.mark.parametrize("short", ["", "abcd", "0" * 19, "0-0-0-0-0-0-0-0-0-0-0"])
def test_a_short_passphrase_is_refused(short: str) -> None:
    with pytest.raises(RefusedError, match="passphrase_short"):
        make_pdf_package(files(), short, title=CASE, language="sv")


@pytest.mark.parametrize("bad", [[], [b""], [b"no pdf"], [b"%PDF-1.7\n%%EOF"]])
def test_what_is_no_pdf_of_ours_is_not_joined(bad: list[bytes]) -> None:
    with pytest.raises(UnreadableError, match="pdf_unreadable"):
        join_pdfs(bad, title=CASE, language="sv")


def test_what_is_no_pdf_has_no_pages() -> None:
    with pytest.raises(UnreadableError, match="pdf_unreadable"):
        page_count(b"no pdf")


def test_joining_gives_the_same_bytes_again() -> None:
    once = join_pdfs(pdfs(), title=CASE, language="sv")
    time.sleep(1.1)  # what the time of day makes would differ now
    assert once == join_pdfs(pdfs(), title=CASE, language="sv")
    assert once != join_pdfs(list(reversed(pdfs())), title=CASE, language="sv")


def test_the_joined_file_names_the_case_speaks_the_language_and_has_bookmarks() -> None:
    with pikepdf.open(io.BytesIO(join_pdfs(pdfs(), title=CASE, language="sv"))) as pdf:
        assert (str(pdf.docinfo["/Title"]), str(pdf.Root.Lang), bool(pdf.Root.MarkInfo.Marked)) == (CASE, "sv", True)
        with pdf.open_outline() as outline:
            titles = [item.title for item in outline.root]
        assert titles == [f"{title} – {CASE}" for title in ("Svar", "Besök", "Fakturor")]


def elements(node: pikepdf.Object) -> list[pikepdf.Dictionary]:
    found = []
    for kid in node.get("/K", []):
        if isinstance(kid, pikepdf.Dictionary) and "/S" in kid:
            found += [kid, *elements(kid)]
    return found


def test_every_page_keeps_its_structure_and_no_two_elements_share_a_name() -> None:
    with pikepdf.open(io.BytesIO(join_pdfs(pdfs(), title=CASE, language="sv"))) as pdf:
        root = pdf.Root.StructTreeRoot
        keys = [int(key) for key in list(root.ParentTree.Nums)[::2]]
        assert keys == sorted(set(keys))
        parents = [int(page.obj.StructParents) for page in pdf.pages]
        assert set(parents) <= set(keys)
        assert len(parents) == len(set(parents))
        assert len(root.K) == 1
        tree = elements(root)
        parts = [str(element.S) for element in root.K[0].K]
        assert parts == ["/Part"] * len(pdfs())
        names = [str(element.ID) for element in tree if "/ID" in element]
        assert len(names) == len(set(names)) > 2
        assert sorted(names) == [str(name) for name in list(root.IDTree.Names)[::2]]
        pages = {page.obj.objgen for page in pdf.pages}
        assert {element.Pg.objgen for element in tree if "/Pg" in element} == pages


def test_each_document_has_as_many_elements_as_before() -> None:
    alone = 0
    for data in pdfs():
        with pikepdf.open(io.BytesIO(data)) as pdf:
            alone += len(elements(pdf.Root.StructTreeRoot))
    with pikepdf.open(io.BytesIO(join_pdfs(pdfs(), title=CASE, language="sv"))) as pdf:
        assert len(elements(pdf.Root.StructTreeRoot)) == alone + 1
