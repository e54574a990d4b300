"""What was approved is what is sent: every other decision, draft or document is refused by the sealer, visibly."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.domain.case import Event, Stage
from vault.domain.grounds import THIRD_PERSON_DOCUMENT
from vault.domain.roles import Purpose
from vault.errors import ConflictError, NotAllowedError, RefusedError
from vault.package.canonical import canonical
from vault.steps.casefile import CaseFile
from vault.steps.collect import object_of
from vault.steps.parts import Staff
from vault.steps.review import REFUSE, RELEASE, Ruling, decide, open_draft
from vault.storage.cases import append, get_case
from vault.storage.drafts import DecisionRow, add_decision, package_of
from vault.testing.road import CLINICIAN, REGISTRAR, Road, decide_case, travelled


@pytest.fixture(scope="module")
def road() -> Iterator[Road]:
    with travelled() as road:
        yield road


@pytest.fixture
def drafted(road: Road) -> str:
    return road.bring(Stage.DRAFTED)


def _rulings(road: Road, ref: str) -> tuple[bytes, list[Ruling]]:
    with road.installation.office("desk") as parts:
        draft = open_draft(parts, ref, Purpose.REVIEW, CLINICIAN)
        return draft.row.digest, [Ruling(document["id"], RELEASE) for document in draft.listing["documents"]]


def _decide(road: Road, ref: str, digest: bytes, rulings: list[Ruling], staff: Staff = CLINICIAN) -> None:
    with road.installation.office("desk") as parts:
        decide(parts, staff, ref, digest, rulings)


def _nothing_was_released(road: Road, ref: str, why: str) -> None:
    road.run("seal")
    road.run("deliver")
    case = road.at(ref)
    assert case.exception == why
    assert case.stage is Stage.DECIDED
    with road.installation.office("operator") as parts, parts.database.connect() as connection:
        assert package_of(connection, ref) is None
    assert not [raw for raw in road.mails_about(ref) if b"-package@" in raw]


def _pretend_decided(road: Road, ref: str, row: DecisionRow | None) -> None:
    """Write what a thief of the whole database could write: an event, and a decision of her own making."""
    with road.installation.owner() as connection:
        if row is not None:
            add_decision(connection, row)
        case = get_case(connection, ref)
        append(connection, case, Event.DECISION_MADE, actor="staff:8", at=datetime.now(UTC), step="decide:1")


def _signed_decision(road: Road, ref: str, digest: bytes, key: Ed25519PrivateKey | None) -> DecisionRow:
    """Make a decision about a digest: signed by the desk, or by a key of the forger's own."""
    _, rulings = _rulings(road, ref)
    now = datetime.now(UTC)
    body = {
        "case": ref,
        "draft_version": 1,
        "digest": digest.hex(),
        "rulings": [{"document": r.document, "ruling": r.ruling, "ground": r.ground} for r in rulings],
        "decided_by": "staff:8",
        "role": "clinician",
        "decided_at": now.isoformat(),
    }
    with road.installation.office("desk") as parts:
        plain = canonical(json.loads(json.dumps(body)))
        signature = key.sign(plain) if key else parts.service.sign("desk", plain)
        signed = canonical({"decision": json.loads(plain), "signature": base64.b64encode(signature).decode()})
        file = CaseFile.open(parts, ref, Purpose.REVIEW, staff=CLINICIAN)
        return DecisionRow(ref, 1, digest, now, "staff:8", file.sealed_bytes("decisions", 1, signed))


def test_a_decision_releases_what_it_names(road: Road, drafted: str) -> None:
    decide_case(road.home, drafted)
    road.run("seal")
    assert road.at(drafted).stage is Stage.SEALED


def test_no_decision_no_release(road: Road, drafted: str) -> None:
    _pretend_decided(road, drafted, None)
    _nothing_was_released(road, drafted, "no_decision")


def test_a_decision_about_another_digest_is_refused(road: Road, drafted: str) -> None:
    _pretend_decided(road, drafted, _signed_decision(road, drafted, b"\x01" * 32, None))
    _nothing_was_released(road, drafted, "decision_for_another")


def test_a_decision_that_the_desk_did_not_sign_is_refused(road: Road, drafted: str) -> None:
    digest, _ = _rulings(road, drafted)
    _pretend_decided(road, drafted, _signed_decision(road, drafted, digest, Ed25519PrivateKey.generate()))
    _nothing_was_released(road, drafted, "decision_forged")


def test_a_document_changed_after_the_decision_is_refused(road: Road, drafted: str) -> None:
    decide_case(road.home, drafted)
    with road.installation.office("desk") as parts:
        draft = open_draft(parts, drafted, Purpose.REVIEW, CLINICIAN)
        name = next(iter(draft.listing["documents"][0]["files"]))
        draft.file.put_object(object_of(drafted, 1, name), b"%PDF-1.7 another one")
    _nothing_was_released(road, drafted, "document_changed")


def test_a_decision_on_an_old_page_is_refused(road: Road, drafted: str) -> None:
    _, rulings = _rulings(road, drafted)
    with pytest.raises(ConflictError, match="draft_changed"):
        _decide(road, drafted, b"\x02" * 32, rulings)
    assert road.at(drafted).stage is Stage.DRAFTED


def test_every_document_wants_one_ruling_and_every_refusal_a_ground(road: Road, drafted: str) -> None:
    digest, rulings = _rulings(road, drafted)
    first = rulings[0].document
    for wrong in (
        rulings[1:],
        [*rulings, rulings[0]],
        [Ruling(first, REFUSE), *rulings[1:]],
        [Ruling(first, REFUSE, "because"), *rulings[1:]],
        [Ruling(first, "perhaps"), *rulings[1:]],
        [Ruling(first, RELEASE, THIRD_PERSON_DOCUMENT.code), *rulings[1:]],
    ):
        with pytest.raises(RefusedError):
            _decide(road, drafted, digest, wrong)
    assert road.at(drafted).stage is Stage.DRAFTED


def test_only_a_clinician_opens_or_decides(road: Road, drafted: str) -> None:
    digest, rulings = _rulings(road, drafted)
    for staff in (REGISTRAR, Staff("9", "Data Protection Officer", frozenset({"dpo"}))):
        with pytest.raises(NotAllowedError, match="not_a_clinician"):
            _decide(road, drafted, digest, rulings, staff)


def test_a_refused_document_is_in_no_package(road: Road, drafted: str) -> None:
    digest, rulings = _rulings(road, drafted)
    withheld = rulings[0].document
    _decide(road, drafted, digest, [Ruling(withheld, REFUSE, THIRD_PERSON_DOCUMENT.code), *rulings[1:]])
    road.run("seal")
    assert road.at(drafted).stage is Stage.SEALED
    with road.installation.office("sealer") as parts, parts.database.connect() as connection:
        package = package_of(connection, drafted)
        assert package is not None
        file = CaseFile.open(parts, drafted, Purpose.DELIVER)
        sealed = file.get_object(package.object)
    listing = road.cast.homes["bound_sv"].gpg("--decrypt", data=sealed)
    assert f"{withheld}.pdf".encode() not in listing
    assert f"{rulings[1].document}.pdf".encode() in listing
    assert b"01-decision.pdf" in listing
