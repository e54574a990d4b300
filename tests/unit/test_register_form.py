import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from vault.domain.records import Author, Record, RecordKind
from vault.errors import RefusedError, TamperedError, UnknownFormatError, VaultError
from vault.register.form import parse, render

AUTHOR = Author("Marjatta Koivulehto", "A-1", "psykoterapeutti")
AT = datetime(2026, 3, 5, 12, 30, tzinfo=UTC)


def make(body: Any = None, at: datetime = AT) -> Record:
    return Record("R-1", "P-1", RecordKind.INVOICE, at, AUTHOR, {"text": "å"} if body is None else body, "R-0")


def changed(**parts: Any) -> bytes:
    content = json.loads(render(make())) | parts
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def test_a_record_comes_back_as_it_was() -> None:
    assert parse("P-1", "R-1", render(make())) == make()


def test_the_same_instant_has_one_form() -> None:
    helsinki = AT.astimezone(timezone(timedelta(hours=2)))

    assert render(make(at=helsinki)) == render(make())


def test_the_references_stay_outside() -> None:
    assert b"P-1" not in render(make())
    assert b"R-1" not in render(make())


@pytest.mark.parametrize(
    "record",
    [
        make(at=datetime(2026, 3, 5)),  # noqa: DTZ001 - the zone is missing on purpose
        make({"number": float("nan")}),
        make({"text": "\ud800"}),
        make({"when": AT}),
        make({"raw": b"bytes"}),
    ],
    ids=["no zone", "not a number", "half a character", "a time", "bytes"],
)
def test_what_is_no_plain_json_is_refused(record: Record) -> None:
    with pytest.raises(RefusedError) as caught:
        render(record)
    assert caught.value.code == "record_malformed"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b" " + render(make()),
        render(make()) + b"\n",
        render(make()).replace(b'"v":1', b'"v":1,"v":1'),
        changed(kind="unheard_of"),
        changed(at="2026-03-05T12:30:00"),
        changed(at="2026-03-05T14:30:00+02:00"),
        changed(at=7),
        changed(author={"name": "x"}),
        changed(author=None),
        changed(body="text"),
        changed(body=[["text", "x"]]),
        changed(more=1),
    ],
)
def test_bytes_that_render_does_not_make_are_refused(data: bytes) -> None:
    with pytest.raises(TamperedError):
        parse("P-1", "R-1", data)


@pytest.mark.parametrize("version", [0, 2, "1"])
def test_another_version_is_named_as_such(version: int | str) -> None:
    with pytest.raises(UnknownFormatError):
        parse("P-1", "R-1", changed(v=version))


def test_a_refusal_names_the_reference_and_nothing_personal() -> None:
    with pytest.raises(VaultError) as caught:
        parse("P-1", "R-1", changed(author={"name": "Marjatta Koivulehto"}))
    assert "R-1" in str(caught.value)
    assert "Marjatta" not in str(caught.value)
