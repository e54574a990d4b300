import base64
import gzip
import io
import json
import os
import quopri
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from vault.testing.atrest import files
from vault.testing.canaries import draw_canary, search

TEXT = "kvzqwxjäöpfgh"
CODE = "131052-308T"
FORMS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
Hiding = Callable[[str], bytes]


def in_form(form: str) -> Hiding:
    return lambda text: text.encode(form)


def in_base64(form: str, before: bytes, alphabet: Callable[[bytes], bytes] = base64.b64encode) -> Hiding:
    return lambda text: alphabet(before + text.encode(form) + b"!")


HIDINGS: dict[str, Hiding] = {
    **{form: in_form(form) for form in FORMS},
    "upper case": lambda text: text.upper().encode(),
    "capitalised": lambda text: text.capitalize().encode(),
    "hex": lambda text: text.encode().hex().encode(),
    "hex upper case": lambda text: text.encode().hex().upper().encode(),
    "hex of utf-16": lambda text: text.encode("utf-16-be").hex().encode(),
    **{f"base64 {form} {shift}": in_base64(form, b"abc"[:shift]) for form in FORMS for shift in range(3)},
    **{
        f"base64url {shift}": in_base64("utf-8", b"\xfb\xff\xfe"[:shift], base64.urlsafe_b64encode)
        for shift in range(3)
    },
    "base64 in lines": lambda text: base64.encodebytes(b"a" * 50 + text.encode()).replace(b"\n", b"\r\n"),
    "base64 of capitals": lambda text: base64.b64encode(text.upper().encode()),
    "url": lambda text: quote(text).encode(),
    "url lower case": lambda text: quote(text).lower().encode(),
    "quoted-printable": lambda text: quopri.encodestring(text.encode()),
    "quoted-printable in lines": lambda text: quopri.encodestring(("x" * 70 + text).encode()),
    "json": lambda text: json.dumps(text).encode(),
    "python": lambda text: repr(text.encode()).encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zlib": lambda text: zlib.compress(text.encode()),
    "zlib, broken off": lambda text: zlib.compress(text.encode() + os.urandom(5000))[:3000],
    "gzip in gzip": lambda text: gzip.compress(b"x" + gzip.compress(text.encode())),
    "base64 in gzip": lambda text: gzip.compress(base64.b64encode(text.encode())),
    "zip": lambda text: _zip(f"{text} "),
    "behind zeros": lambda text: b"\0" * 100_001 + text.encode() + b"\0" * 99_999,
}


def _zip(text: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/name", text * 3)
    return target.getvalue()


@pytest.mark.parametrize("text", [TEXT, CODE, "+358 50 123 45"])
@pytest.mark.parametrize("hiding", HIDINGS)
def test_canary_is_found_however_it_is_spelled_and_wherever_it_lies(hiding: str, text: str) -> None:
    hidden = b" " + HIDINGS[hiding](text) + b" " + os.urandom(1000)
    places = [(str(at), os.urandom(1000 + at) + hidden) for at in range(5)]
    found = search(places, {"sought": text, "other": draw_canary()})
    assert {finding.canary for finding in found} == {"sought"}
    assert {finding.place[:1] for finding in found} == {"0", "1", "2", "3", "4"}


def test_nothing_is_found_where_nothing_is() -> None:
    canaries = {str(number): draw_canary() for number in range(50)}
    assert search([("noise", os.urandom(3_000_000)), ("text", b"kvzq wxj " * 10_000), ("empty", b"")], canaries) == []


def test_finding_names_place_canary_and_encoding() -> None:
    (found,) = search([("a place", b"before " + TEXT.encode() + b" behind")], {"name": TEXT})
    assert (found.canary, found.encoding, found.place) == ("name", "utf-8", "a place")
    assert b"before" in found.around


def test_canaries_differ_and_leave_ascii() -> None:
    drawn = {draw_canary() for _ in range(100)}
    assert len(drawn) == 100
    assert not any(canary.isascii() for canary in drawn)


def test_sparse_file_is_read_between_its_holes_and_by_name(tmp_path: Path) -> None:
    path = tmp_path / f"{TEXT}.data"
    with path.open("wb") as file:
        file.truncate(5_000_000_000)
        file.seek(4_000_000_000)
        file.write(CODE.encode())
    found = search(files(tmp_path), {"name": TEXT, "code": CODE})
    assert {finding.canary for finding in found} == {"name", "code"}


def test_links_are_read_and_folders_left_out(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(f"/nowhere/{TEXT}")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").write_text(CODE)
    found = search(files(tmp_path, skip=[tmp_path / "out"]), {"name": TEXT, "code": CODE})
    assert {finding.canary for finding in found} == {"name"}
