"""Drafts, decisions and packages: versions, digests and ciphertext."""

from dataclasses import dataclass
from datetime import datetime

from vault.storage.database import Connection


@dataclass(frozen=True, slots=True)
class DraftRow:
    """One version of a draft."""

    case_ref: str
    version: int
    digest: bytes
    made_at: datetime


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A decision about one version of a draft; the rulings are in the envelope."""

    case_ref: str
    draft_version: int
    digest: bytes
    decided_at: datetime
    decided_by: str
    envelope: bytes


@dataclass(frozen=True, slots=True)
class PackageRow:
    """Where the package lies and what it measures."""

    case_ref: str
    format: str
    object: str
    sha256: bytes
    size: int
    made_at: datetime


def add_draft(connection: Connection, draft: DraftRow) -> None:
    """Record a draft's version and digest."""
    connection.execute(
        "insert into drafts (case_ref, version, digest, made_at) values (%s, %s, %s, %s)",
        (draft.case_ref, draft.version, draft.digest, draft.made_at),
    )


def latest_draft(connection: Connection, case_ref: str) -> DraftRow | None:
    """Return the newest version."""
    row = connection.execute(
        "select case_ref, version, digest, made_at from drafts where case_ref = %s order by version desc limit 1",
        (case_ref,),
    ).fetchone()
    return DraftRow(row[0], row[1], bytes(row[2]), row[3]) if row else None


def add_decision(connection: Connection, decision: DecisionRow) -> None:
    """Record a decision; one a version."""
    connection.execute(
        "insert into decisions (case_ref, draft_version, digest, decided_at, decided_by, envelope)"
        " values (%s, %s, %s, %s, %s, %s)",
        (
            decision.case_ref,
            decision.draft_version,
            decision.digest,
            decision.decided_at,
            decision.decided_by,
            decision.envelope,
        ),
    )


def decision_about(connection: Connection, case_ref: str, draft_version: int) -> DecisionRow | None:
    """Return the decision about a version of the draft."""
    row = connection.execute(
        "select case_ref, draft_version, digest, decided_at, decided_by, envelope from decisions"
        " where case_ref = %s and draft_version = %s",
        (case_ref, draft_version),
    ).fetchone()
    return DecisionRow(row[0], row[1], bytes(row[2]), row[3], row[4], bytes(row[5])) if row else None


def add_package(connection: Connection, package: PackageRow) -> None:
    """Record the package."""
    connection.execute(
        "insert into packages (case_ref, format, object, sha256, size, made_at) values (%s, %s, %s, %s, %s, %s)",
        (package.case_ref, package.format, package.object, package.sha256, package.size, package.made_at),
    )


def package_of(connection: Connection, case_ref: str) -> PackageRow | None:
    """Return the case's package."""
    row = connection.execute(
        "select case_ref, format, object, sha256, size, made_at from packages where case_ref = %s", (case_ref,)
    ).fetchone()
    return PackageRow(row[0], row[1], row[2], bytes(row[3]), row[4], row[5]) if row else None
