"""A receipt can't be made, copied, stored, changed, stretched or spent twice."""

import copy
import os
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from vault.accesslog.entries import Access
from vault.accesslog.receipts import LogReceipt, ReceiptBook
from vault.errors import NoReceiptError, WrongUseError
from vault.testing.accesslog import CASE, SUBJECT, look

NOW = look().at
MINUTES = timedelta(minutes=5)
KINDS = ("identity", "visit")
USE = bytes(range(16))


def issue(book: ReceiptBook, access: Access | None = None) -> LogReceipt:
    return book.issue(access or look(kinds=KINDS), 17, USE, NOW, MINUTES)


def spend(book: ReceiptBook, receipt: Any, **changes: Any) -> None:
    fitting: dict[str, Any] = {"case": CASE, "subject": SUBJECT, "kinds": KINDS, "now": NOW}
    book.spend(receipt, **(fitting | changes))


def code(act: Callable[[], object]) -> str:
    with pytest.raises(NoReceiptError) as caught:
        act()
    return caught.value.code


def test_a_receipt_says_what_it_opens() -> None:
    receipt = issue(ReceiptBook())

    assert (receipt.actor, receipt.purpose, receipt.case, receipt.subject) == ("staff:7", "review", CASE, SUBJECT)
    assert (receipt.kinds, receipt.expires, receipt.index) == (frozenset(KINDS), NOW + MINUTES, 17)


def test_its_repr_shows_the_index_only() -> None:
    assert repr(issue(ReceiptBook())) == "LogReceipt(index=17)"


def test_a_receipt_is_named_by_the_use_in_its_leaf() -> None:
    assert issue(ReceiptBook()).id == USE.hex()


def test_a_fitting_receipt_is_spent_once() -> None:
    book = ReceiptBook()
    receipt = issue(book)

    spend(book, receipt)

    assert code(lambda: spend(book, receipt)) == "receipt_unknown"


def test_some_of_its_kinds_are_enough() -> None:
    book = ReceiptBook()

    spend(book, issue(book), kinds=["visit"])


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"case": "DSR-2026-000000"}, "receipt_elsewhere"),
        ({"case": None}, "receipt_elsewhere"),
        ({"subject": "P-OTHER"}, "receipt_elsewhere"),
        ({"subject": None}, "receipt_elsewhere"),
        ({"kinds": ["identity", "invoice"]}, "receipt_kinds"),
        ({"kinds": []}, "receipt_kinds"),
        ({"now": NOW + MINUTES}, "receipt_expired"),
    ],
)
def test_another_look_is_refused_and_leaves_it_unspent(changes: dict[str, Any], why: str) -> None:
    book = ReceiptBook()
    receipt = issue(book)

    assert code(lambda: spend(book, receipt, **changes)) == why

    spend(book, receipt, now=NOW + MINUTES - timedelta(microseconds=1))


@pytest.mark.parametrize("outcome", ["refused", "wrong_role", "Granted", "granted "])
def test_a_look_that_was_not_granted_opens_nothing(outcome: str) -> None:
    book = ReceiptBook()

    assert code(lambda: spend(book, issue(book, look(outcome=outcome)))) == "receipt_unknown"


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda _: LogReceipt(), "receipt_not_made_here"),
        (lambda _: LogReceipt(id="x", actor="a"), "receipt_not_made_here"),
        (lambda _: type("Mine", (LogReceipt,), {}), "receipt_not_made_here"),
        (lambda receipt: setattr(receipt, "subject", "P-OTHER"), "receipt_fixed"),
        (lambda receipt: delattr(receipt, "expires"), "receipt_fixed"),
    ],
)
def test_receipts_are_neither_made_nor_changed(act: Callable[[LogReceipt], object], why: str) -> None:
    receipt = issue(ReceiptBook())

    assert code(lambda: act(receipt)) == why


@pytest.mark.parametrize("act", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
def test_receipts_are_not_copied(act: Callable[[LogReceipt], object]) -> None:
    with pytest.raises(WrongUseError, match="private_not_copied"):
        act(issue(ReceiptBook()))


def test_an_object_forged_below_the_class_is_unknown() -> None:
    book = ReceiptBook()
    true = issue(book)
    forged = object.__new__(LogReceipt)
    for name in LogReceipt.__slots__:
        object.__setattr__(forged, name, getattr(true, name))

    assert code(lambda: spend(book, forged)) == "receipt_unknown"


def test_a_receipt_changed_below_the_class_still_opens_only_what_was_logged() -> None:
    book = ReceiptBook()
    receipt = issue(book)
    object.__setattr__(receipt, "subject", "P-OTHER")
    object.__setattr__(receipt, "kinds", frozenset({"invoice"}))

    assert code(lambda: spend(book, receipt, subject="P-OTHER")) == "receipt_elsewhere"
    assert code(lambda: spend(book, receipt, kinds=["invoice"])) == "receipt_kinds"


@pytest.mark.parametrize("thing", [None, "receipt", object(), 17])
def test_what_is_no_receipt_is_unknown(thing: object) -> None:
    assert code(lambda: spend(ReceiptBook(), thing)) == "receipt_unknown"


def test_another_log_s_receipt_is_unknown() -> None:
    assert code(lambda: spend(ReceiptBook(), issue(ReceiptBook()))) == "receipt_unknown"


def test_a_forked_child_has_no_receipts() -> None:
    book = ReceiptBook()
    receipt = issue(book)

    child = os.fork()
    if child == 0:
        try:
            spend(book, receipt)
        except NoReceiptError:
            os._exit(7)
        os._exit(0)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 7
    spend(book, receipt)


def test_the_book_forgets_what_expired() -> None:
    book = ReceiptBook()
    for _ in range(100):
        issue(book)

    book.issue(look(), 18, USE, NOW + timedelta(hours=1), MINUTES)

    assert len(book._open) == 1
