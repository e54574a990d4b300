"""The desk's words: the same in three languages, and words for everything that a machine can say."""

import ast
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import vault
from vault.desk.identity import CLOSINGS
from vault.desk.problems import unexpected
from vault.desk.render import LANGUAGES, actor, day, moment, texts
from vault.domain.case import BEFORE_IDENTITY, Channel, Event, Stage
from vault.domain.periods import Rule
from vault.domain.request import AnswerBy, RequestKind
from vault.domain.roles import Role
from vault.intake import gpgstatus, pages, sandbox, scan
from vault.intake.opened import ProofKind
from vault.steps.check import EVIDENCE_KINDS
from vault.storage import outgoing

ROOT = Path(vault.__file__).parent
# found by hand in steps: raised through variables or by the parts that sealing uses
RAISED = frozenset(
    {
        *("no_decision", "decision_for_another", "decision_forged", "document_changed", "draft_listing"),
        *("no_identity_decision", "envelope_tampered", "recipient_not_alone", "identity_missing", "mail_refused"),
        *("subject_unknown", "representative", "name_differs", "reply_to_read", "code_wrong", "code_exhausted"),
        *("mail_undecryptable", "no_request_found", "automatic_message", "scan_not_a_file", "scan_too_large"),
        *("mail_too_large", "mail_reading_failed"),
        *("scan_unreadable", "scan_person", "scan_no_form", "scan_not_registered", "scan_ocr_failed"),
    }
)
SCANNERS = frozenset({"align", "geometry", "ocr", "pagepictures", "pages", "scan", "sheet"})


def leaves(words: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in words.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def exceptions_in(source: str) -> set[str]:
    """Find every constant that stands for an exception in a step."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "exception" and isinstance(node.value, ast.Constant):
            found.add(node.value.value)
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            found |= {
                value.value
                for key, value in pairs
                if isinstance(key, ast.Constant) and key.value == "exception" and isinstance(value, ast.Constant)
            }
    return {code for code in found if isinstance(code, str)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_words(language: str) -> None:
    assert {key for key, _ in leaves(texts(language))} == {key for key, _ in leaves(texts("en"))}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_word_is_empty_or_hidden_behind_a_method(language: str) -> None:
    words = dict(leaves(texts(language)))

    assert [key for key, value in words.items() if not value.strip()] == []
    assert [key for key in words if set(key.split(".")) & set(dir({}))] == []


@pytest.mark.parametrize("language", ["fi", "sv"])
def test_sentences_are_translated(language: str) -> None:
    english = dict(leaves(texts("en")))

    assert [key for key, value in leaves(texts(language)) if len(value) > 20 and value == english[key]] == []


def test_every_exception_has_plain_words() -> None:
    by_steps = {code for file in (ROOT / "steps").glob("*.py") for code in exceptions_in(file.read_text("utf-8"))}
    by_scans = {*pages._ADVICE, *sandbox._ADVICE, *scan._NEEDED.values()}
    codes = by_steps | RAISED | {f"scan_{code}" for code in by_scans}

    assert {"mail_bounced", "task_without_decision"} <= by_steps
    assert codes - set(texts("en")["exceptions"]) == set()


def notes_in(source: str) -> set[str]:
    """Find every constant that a reader of mail gives as the reason of a refusal, or as a remark."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            found |= {node.args[0].value} if name in ("UnreadableError", "_remark", "failed") else set()
    return {code for code in found if isinstance(code, str)}


def test_every_note_of_a_reader_of_mail_has_plain_words() -> None:
    files = [file for file in (ROOT / "intake").glob("*.py") if file.stem not in SCANNERS]
    noted = {code for file in files for code in notes_in(file.read_text("utf-8"))}
    codes = noted | {*sandbox._ADVICE, *gpgstatus._DEAD_KEYS.values(), "own_certificate_expired"}

    assert {"pgp_no_key", "outside_ignored", "mail_reader_failed"} <= noted
    assert codes == set(texts("en")["reading_notes"])


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("stages", Stage),
        ("waiting", Stage),
        ("channels", Channel),
        ("events", Event),
        ("roles", Role),
        ("rules", Rule),
        ("kinds", RequestKind),
        ("answer_by", AnswerBy),
        ("proof", ProofKind),
        ("evidence", EVIDENCE_KINDS),
        ("closings", CLOSINGS),
        ("languages", LANGUAGES),
        (
            "outgoing_states",
            (
                *(outgoing.INTENDED, outgoing.SENDING, outgoing.SENT, outgoing.MAYBE_SENT),
                *(outgoing.REFUSED, outgoing.READY, outgoing.PRINTED, outgoing.POSTED),
            ),
        ),
    ],
)
def test_every_value_has_a_word(group: str, values: Any) -> None:
    assert {str(value) for value in values} - set(texts("en")[group]) == set()


def test_every_word_that_a_template_names_exists() -> None:
    named = {
        name
        for file in (ROOT / "desk" / "templates").glob("*.html")
        for name in re.findall(r"\bt\.([a-z_]+\.[a-z_0-9]+)\b", file.read_text("utf-8"))
    }
    words = {key for key, _ in leaves(texts("en"))} | {
        f"{group}.{key}" for group in texts("en") for key in texts("en")[group]
    }

    assert named - words == {"errors.code"} & named


def test_closings_and_forms_fit_cases_before_identity() -> None:
    assert frozenset({Stage.RECEIVED, Stage.CHECKING, Stage.ASKED}) == frozenset(BEFORE_IDENTITY)


def test_a_fault_of_ours_says_nothing_of_itself() -> None:
    page = unexpected()

    assert (page.status, page.values["error"].code) == (500, "unexpected")


def test_days_and_moments_are_written_as_the_language_does() -> None:
    late = datetime(2026, 4, 5, 21, 30, tzinfo=UTC)  # already the 6th in Helsinki

    assert [day(late.date(), language) for language in LANGUAGES] == ["5.4.2026", "5.4.2026", "5 Apr 2026"]
    assert [moment(late, language) for language in LANGUAGES] == [
        "6.4.2026 klo 00.30",
        "6.4.2026 kl. 00.30",
        "6 Apr 2026, 00:30",
    ]


def test_actors_are_an_office_or_a_number() -> None:
    assert actor("staff:7", texts("fi")) == "henkilö nro 7"
    assert actor("office:intake", texts("en")) == "machine: intake"
