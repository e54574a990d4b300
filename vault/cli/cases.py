"""``dsr cases``, ``dsr case``, ``dsr step``, ``dsr migrate``: the road from a terminal; references and codes only."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click

from vault.cli.output import Answer, answering
from vault.domain.calendar import HELSINKI
from vault.errors import WrongUseError
from vault.office import open_office
from vault.settings import load
from vault.steps.parts import Parts
from vault.steps.queue import BoardRow, board, in_stage, row_of, to_identify
from vault.storage.cases import get_case
from vault.storage.drafts import package_of
from vault.storage.migrate import migrate as run_migrations
from vault.storage.outgoing import outgoing_of


def _local(moment: datetime) -> str:
    return moment.astimezone(HELSINKI).isoformat(timespec="seconds")


def row_json(row: BoardRow) -> dict[str, Any]:
    """Spell one board row as the command line contract says."""
    case, clock = row.case, row.clock
    return {
        "ref": case.ref,
        "channel": case.channel.value,
        "stage": case.stage.value,
        "received": _local(case.received_at),
        "due": clock.due.isoformat() if clock.due else None,
        "safe_due": clock.safe_due.isoformat(),
        "exception": case.exception,
        "late": row.late,
    }


@click.command()
@click.option("--open", "only_open", is_flag=True, help="Only cases that still want an answer.")
@answering
def cases(*, only_open: bool) -> Answer:
    """List every case with its clock, exceptions first."""
    with open_office("operator") as parts:
        rows = [row_json(row) for row in board(parts, only_open=only_open)]
    lines = [
        f"{row['ref']}  {row['channel']:4}  {row['stage']:13}  due {row['due'] or 'paused    '}  "
        f"safe {row['safe_due']}  {row['exception'] or ''}"
        for row in rows
    ]
    return Answer({"cases": rows}, lines or ["no cases"])


@click.command()
@click.argument("ref")
@answering
def case(ref: str) -> Answer:
    """Show one case: its clock and why, its events, what went out. Nothing personal."""
    with open_office("operator") as parts:
        with parts.database.connect() as connection:
            get_case(connection, ref)
            package = package_of(connection, ref)
            out = outgoing_of(connection, ref)
        row = row_of(parts, ref)
    events = [
        {"at": _local(e.at), "event": e.event.value, "stage": e.stage.value, "actor": e.actor, "detail": e.detail}
        for e in row.events
    ]
    data = {
        **row_json(row),
        "why": list(row.clock.why),
        "events": events,
        "outgoing": [{"ref": item.ref, "kind": item.kind, "road": item.road, "state": item.state} for item in out],
        "package": {"format": package.format, "sha256": package.sha256.hex(), "size": package.size}
        if package
        else None,
    }
    return Answer(data)


def _receive_mail(parts: Parts, limit: int) -> Sequence[str]:
    from vault.steps.receive_mail import receive_mail

    return receive_mail(parts, limit=limit)


def _receive_post(parts: Parts, limit: int) -> Sequence[str]:
    from vault.steps.receive_post import receive_post

    return receive_post(parts, limit=limit)


def _identify(parts: Parts, limit: int) -> Sequence[str]:
    from vault.steps.identify import identify

    return identify(parts, to_identify(parts, limit))


def _collect(parts: Parts, limit: int) -> Sequence[str]:
    from vault.domain.case import Stage
    from vault.steps.collect import collect

    return collect(parts, in_stage(parts, Stage.IDENTIFIED, limit))


def _seal(parts: Parts, limit: int) -> Sequence[str]:
    from vault.domain.case import Stage
    from vault.steps.seal import seal

    return seal(parts, in_stage(parts, Stage.DECIDED, limit))


def _deliver(parts: Parts, limit: int) -> Sequence[str]:
    from vault.domain.case import Stage
    from vault.steps.deliver import deliver

    return deliver(parts, in_stage(parts, Stage.SEALED, limit))


def _remind(parts: Parts, limit: int) -> Sequence[str]:  # noqa: ARG001 - every step takes a limit
    from vault.steps.remind import remind

    return [f"{name}={count}" for name, count in remind(parts).items()]


def _keep(parts: Parts, limit: int) -> Sequence[str]:  # noqa: ARG001 - every step takes a limit
    from vault.steps.keep import keep

    return [f"{name}={count}" for name, count in keep(parts).items()]


def _publish(parts: Parts, limit: int) -> Sequence[str]:  # noqa: ARG001 - every step takes a limit
    from vault.steps.keep import publish

    return [f"{name}={count}" for name, count in publish(parts).items()]


def _watch(parts: Parts, limit: int) -> Sequence[str]:  # noqa: ARG001 - every step takes a limit
    from vault.steps.watch import watch

    return [f"{name}={count}" for name, count in watch(parts).items()]


def _reconcile(parts: Parts, limit: int) -> Sequence[str]:  # noqa: ARG001 - every step takes a limit
    from vault.steps.reconcile import reconcile

    return [f"{name}={count}" for name, count in reconcile(parts).items()]


def _resend(parts: Parts, limit: int) -> Sequence[str]:
    from vault.steps.notices import resend

    return [f"sent={resend(parts, limit)}"]


STEPS: dict[str, tuple[str, Callable[[Parts, int], Sequence[str]]]] = {
    "receive-mail": ("intake", _receive_mail),
    "receive-post": ("intake", _receive_post),
    "identify": ("collector", _identify),
    "collect": ("collector", _collect),
    "seal": ("sealer", _seal),
    "deliver": ("sealer", _deliver),
    "remind": ("collector", _remind),
    "resend": ("collector", _resend),
    "keep": ("keeper", _keep),
    "publish-log": ("keeper", _publish),
    "watch": ("keeper", _watch),
    "reconcile": ("keeper", _reconcile),
}


@click.command()
@click.argument("name")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(min=1), help="Cases or messages.")
@answering
def step(name: str, *, limit: int) -> Answer:
    """Run one step of the road once, in its own office, on what waits for it."""
    if name not in STEPS:
        raise WrongUseError("no_such_step", f"the steps are {', '.join(STEPS)}")
    office, run = STEPS[name]
    with open_office(office) as parts:
        done = list(run(parts, limit))
    return Answer({"step": name, "done": done}, [f"{name}: {', '.join(done) or 'nothing waited'}"])


@click.command()
@click.argument("target", default="head")
@answering
def migrate(target: str) -> Answer:
    """Bring the database to a version: head, base or a revision."""
    revision = run_migrations(load().database, target)
    return Answer({"revision": revision}, [f"the database is at {revision}"])
