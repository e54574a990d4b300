"""Runs the demo from an empty folder to opened packages, telling what happens."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import httpx

from vault.domain.grounds import THIRD_PERSON_DOCUMENT
from vault.errors import OutOfReachError
from vault.settings import read_secret
from vault.steps.queue import BoardRow, board
from vault.testing import installation as installations
from vault.testing.airflow import AirflowServer
from vault.testing.cast import Cast, deliverer, drop_scans, make_cast, requests
from vault.testing.demo.actors import Clinician, Registrar, Requesters
from vault.testing.demo.finale import (
    left_in_mailbox,
    log_verdict,
    mailbox_words,
    opened_by_key,
    opened_by_passphrase,
    table,
    who_looked,
)
from vault.testing.demo.late import where_it_stands
from vault.testing.demo.postoffice import PostOffice
from vault.testing.fill import fill
from vault.testing.installation import Installation
from vault.testing.pipeline import start_airflow, start_desk
from vault.testing.staff import StaffClient

_SECONDS = 270.0  # for the road; then the demo says what is missing and fails
_ANSWERED = ("bound", "bound_sv", "bound_en", "code", "inline", "smime", "paper", "scanned")
_STAFF = ("dpo", "clinician", "registrar", "auditor", "operator")


@dataclass(frozen=True, slots=True)
class Played:
    """What a run leaves behind: everything is still running."""

    installation: Installation
    server: AirflowServer
    cast: Cast
    post: PostOffice


class Show:
    """One run of the demo.

    :param home: its folder, empty.
    :param patients: how many the register holds.
    :param short_heartbeats: let Airflow notice a killed task within seconds.
    """

    def __init__(self, home: Path, patients: int, *, short_heartbeats: bool = False) -> None:
        self._home = home
        self._patients = patients
        self._short = short_heartbeats
        self._began = time.monotonic()
        self._stages: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Tell what happens, with the seconds since the start."""
        click.echo(f"[{time.monotonic() - self._began:5.0f} s] {text}")

    def run(self) -> Played:
        """Do it all, and leave everything running.

        :raises OutOfReachError: the road did not end in time, or a check at the end failed.
        """
        self.say("starting PostgreSQL, object store, mailbox, mail sink and key service")
        installation = installations.start(self._home)
        with ThreadPoolExecutor(1) as aside:
            self.say("starting Airflow: api-server, scheduler, dag-processor, triggerer (most of a minute)")
            starting = aside.submit(start_airflow, installation, short_heartbeats=self._short)
            cast = self._prepare(installation)
            self._wait(starting)
        server = starting.result()
        self.say(f"Airflow is healthy at {server.url}")
        self._drop(installation, cast)
        post = self._road(installation, server, cast)
        self._finale(installation, server, cast, post)
        cast.close()
        return Played(installation, server, cast, post)

    def _prepare(self, installation: Installation) -> Cast:
        cast = make_cast(installation, self._patients)
        with installation.office("registry") as parts:
            if parts.register is not None:
                fill(parts.register, cast.people, self._count)
        self.say(f"the desk is at {start_desk(installation)}")
        return cast

    def _count(self, number: int) -> None:
        if number % 50 == 0 or number == self._patients:
            self.say(f"the encrypted register holds {number} synthetic patients")

    def _wait(self, starting: "Future[AirflowServer]") -> None:
        while not starting.done():
            time.sleep(0.5)

    def _drop(self, installation: Installation, cast: Cast) -> None:
        drop = deliverer(installation)
        mails = requests(cast)
        for raw in mails.values():
            drop(raw)
        drop_scans(cast)
        self.say(f"the mailbox is {mailbox_words(installation)}")
        self.say(f"{len(mails)} mails lie in the mailbox and 3 scanned sheets in the scan folder; the DAGs take over")

    def _road(self, installation: Installation, server: AirflowServer, cast: Cast) -> PostOffice:
        settings = installation.settings().desk
        registrar, clinician = (
            StaffClient.through_airflow(server.url, settings.url, user, read_secret(server.password_file(user)))
            for user in ("registrar", "clinician")
        )
        post = PostOffice(installation)
        office = Registrar(registrar, cast)
        people = (
            office,
            Clinician(clinician, THIRD_PERSON_DOCUMENT.code),
            Requesters(cast, post, office, deliverer(installation)),
        )
        until = time.monotonic() + _SECONDS
        while not self._over(installation):
            if time.monotonic() > until:
                click.echo(where_it_stands(installation, server))
                raise OutOfReachError("demo_late", "the road did not end in time; look at the board and Airflow's logs")
            self._post(post, server)
            for person in people:
                for deed in person.work():
                    self.say(deed)
            time.sleep(1)
        return post

    def _post(self, post: PostOffice, server: AirflowServer) -> None:
        letters = post.work()
        if letters:
            self.say(f"the post office printed and posted {len(letters)} letters")
        if any(letter.endswith(("-answer", "-passphrase")) for letter in letters):
            with suppress(httpx.HTTPError), server.api("operator") as client:
                client.post("/dags/release_packages/dagRuns", json={"logical_date": None})

    def _over(self, installation: Installation) -> bool:
        with installation.office("operator") as parts:
            rows = board(parts)
        for row in rows:
            word = f"{row.case.stage.value}{f' ({row.case.exception})' if row.case.exception else ''}"
            if self._stages.get(row.case.ref) != word:
                self._stages[row.case.ref] = word
                self.say(f"{row.case.ref} {row.case.channel.value}: {word}")
        return _ended(rows)

    def _finale(self, installation: Installation, server: AirflowServer, cast: Cast, post: PostOffice) -> None:
        click.echo("")
        with installation.office("operator") as parts:
            click.echo(table(parts))
        checks: list[tuple[str, Callable[[], str]]] = [
            ("A package opened with its requester's own key by gpg", lambda: opened_by_key(installation, cast)),
            ("An encrypted PDF opened with its passphrase", lambda: opened_by_passphrase(installation, post)),
            ("Who looked at one patient, proved and complete", lambda: who_looked(installation)),
            ("dsr log verify", lambda: log_verdict(installation)),
        ]
        for title, check in checks:
            click.echo(f"\n{title}:\n{check()}")
        stand_ins = installation.settings().stand_ins
        click.echo(f"\nThe mailbox, {mailbox_words(installation)}, holds {left_in_mailbox(installation)} messages.")
        click.echo(f"Stand-ins: {'; '.join(stand_ins) or 'none, every part was real'}")
        click.echo("Outgoing mail went to a folder, and the post office was this program.")
        click.echo(f"\nAirflow: {server.url}  (Desk in its navigation: {installation.settings().desk.url})")
        for user in _STAFF:
            click.echo(f"  {user:10} {read_secret(server.password_file(user))}")
        self.say("done; `make down` stops it all")


def _ended(rows: list[BoardRow]) -> bool:
    stages = [row.case.stage.value for row in rows]
    waiting = {row.case.exception for row in rows if row.case.open and row.case.exception}
    return (
        stages.count("answered") == len(_ANSWERED)
        and {"asked", "merged", "not_a_request"} <= set(stages)
        and {"mail_undecryptable", "subject_unknown"} <= waiting
        and any(code.startswith("scan_") for code in waiting)
    )
