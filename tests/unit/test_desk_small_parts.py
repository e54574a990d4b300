"""The desk's small parts: what is remembered and how long, numbers, own paths, filters, origins, statuses."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from vault.desk.board import Filter
from vault.desk.entry import _own_path
from vault.desk.forms import check_origin
from vault.desk.memory import OPEN_FOR, Memory
from vault.desk.numbers import number_in
from vault.desk.problems import problem
from vault.errors import (
    ConflictError,
    LimitError,
    NotAllowedError,
    OutOfReachError,
    RefusedError,
    TamperedError,
    VaultError,
    WrongUseError,
)
from vault.testing.htmlpage import read_page

START = datetime(2026, 4, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def test_what_is_open_is_forgotten_after_five_minutes() -> None:
    clock = Clock()
    memory: Memory[str] = Memory(clock)
    memory.put("s", "case", "draft")

    clock.now = START + OPEN_FOR - timedelta(seconds=1)
    assert memory.get("s", "case") == "draft"
    clock.now = START + OPEN_FOR
    assert memory.get("s", "case") is None
    assert len(memory) == 0


def test_what_is_open_belongs_to_one_session_and_one_case() -> None:
    memory: Memory[str] = Memory(Clock())
    for session, ref in (("a", "1"), ("a", "2"), ("b", "1")):
        memory.put(session, ref, session + ref)

    memory.forget("a", "1")
    assert (memory.get("a", "1"), memory.get("a", "2"), memory.get("b", "1")) == (None, "a2", "b1")
    memory.forget("a")
    assert (memory.get("a", "2"), memory.get("b", "1")) == (None, "b1")


def test_only_so_much_is_open_at_a_time() -> None:
    memory: Memory[int] = Memory(Clock())
    for number in range(40):
        memory.put("s", str(number), number)

    assert len(memory) == 16
    assert memory.get("s", "39") == 39
    assert memory.get("s", "0") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("", 0), (None, 0), ("-1", 0), ("1e3", 0), ("٧", 0), ("²", 0), ("9999999", 0), ("007", 7)],
)
def test_a_number_is_read_or_is_none(text: str | None, number: int) -> None:
    assert number_in(text) == number


@given(st.text())
def test_a_path_back_stays_on_this_site(back: str) -> None:
    path = _own_path(back)

    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert path.isprintable()


@pytest.mark.parametrize("path", ["/", "/cases/DSR-2026-7K3QXM", "/?stage=asked&page=2"])
def test_an_own_path_is_kept(path: str) -> None:
    assert _own_path(path) == path


def request_from(origin: str | None) -> Request:
    headers = [(b"origin", origin.encode())] if origin is not None else []
    return Request({"type": "http", "headers": headers})


@pytest.mark.parametrize("origin", [None, "https://desk.example", "https://desk.example/"])
def test_a_form_of_the_desk_passes(origin: str | None) -> None:
    check_origin(request_from(origin), ["https://desk.example/"])


@pytest.mark.parametrize(
    "origin", ["", "null", "https://desk.example.evil", "http://desk.example", "https://desk.example:8443"]
)
def test_a_form_from_elsewhere_does_not(origin: str) -> None:
    with pytest.raises(NotAllowedError):
        check_origin(request_from(origin), ["https://desk.example"])


@given(st.dictionaries(st.sampled_from(["stage", "exception", "closed"]), st.text()))
def test_a_filter_holds_known_words_only(query: dict[str, str]) -> None:
    wanted = Filter.of(query)

    assert wanted.stage in {"", query.get("stage")}
    assert wanted.exception == "" or wanted.exception.isidentifier()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotAllowedError("x", "x"), 403),
        (RefusedError("no_such_case", "x"), 404),
        (ConflictError("x", "x"), 409),
        (LimitError("x", "x"), 413),
        (RefusedError("x", "x"), 422),
        (TamperedError("x", "x"), 422),
        (OutOfReachError("x", "x"), 503),
        (WrongUseError("x", "x"), 400),
    ],
)
def test_errors_have_fitting_statuses(error: VaultError, status: int) -> None:
    assert problem(error).status == status


def test_a_page_is_read_as_a_browser_reads_it() -> None:
    page = read_page(
        '<form action="/a"><input name="x" value="&lt;1"><br><input type="radio" name="r" value="1">'
        '<input type="radio" name="r" value="2" checked><select name="s"><option value="">-<option value="b" selected>B'
        "</select><textarea name=t> two  words</textarea><button name=no value=no>Go</button></form>"
        "<p data-a=1>A <b>b</b></p>"
    )

    assert page.all("form")[0].fields() == {"x": "<1", "r": "2", "s": "b", "t": " two  words"}
    assert page.all(data_a="1")[0].text == "A b"
