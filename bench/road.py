"""The road without Airflow: each step on batches as large as Airflow's, in an office opened anew for each batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

from bench.meter import Cost, Laps, Meter
from bench.peers import Call, gpg_decrypt, gpg_encrypt, overheard, typst_compile
from bench.people import Crowd, sheets
from vault.domain.case import Stage
from vault.domain.roles import Purpose, Role
from vault.errors import OutOfReachError
from vault.package.archive import make_archive
from vault.steps.collect import collect
from vault.steps.deliver import deliver
from vault.steps.identify import identify
from vault.steps.keep import publish
from vault.steps.parts import Parts, Staff
from vault.steps.queue import BATCH, in_stage, to_identify
from vault.steps.receive_mail import receive_mail
from vault.steps.receive_post import receive_post
from vault.steps.review import RELEASE, Ruling, decide, open_draft
from vault.steps.seal import seal
from vault.storage.cases import all_cases
from vault.testing.installation import Installation

Step = Callable[[Parts, int], Sequence[str]]
PEER_BATCHES = 2  # the first ones; a peer takes as long again
A_SHIFT = 50  # drafts that one clinician reviews: fewer than one person may open an hour
_TURN = count()
ROAD = ("receive-mail", "identify", "collect", "review-decision", "seal", "deliver", "publish-log")


@dataclass(slots=True, repr=False)
class Road:
    """One run of the road.

    :param laps: what each step cost, batch by batch.
    :param theirs: what each step's peer cost for the same batches.
    """

    installation: Installation
    crowd: Crowd
    mails: Sequence[bytes]
    say: Callable[[str], None]
    laps: dict[str, Laps] = field(default_factory=dict)
    theirs: dict[str, list[Cost]] = field(default_factory=dict)

    def run(self, letters: int) -> None:
        """Take every mail to its answer, then some letters as far as the code that goes by post.

        :raises OutOfReachError: a case did not reach its answer.
        """
        self._receive()
        self._step("identify", "collector", lambda parts, n: identify(parts, to_identify(parts, n)))
        self._collect()
        self._step("review-decision", "desk", review)
        self._seal()
        self._step("deliver", "sealer", lambda parts, n: deliver(parts, in_stage(parts, Stage.SEALED, n)))
        self._publish()
        self._whole()
        self._letters(letters)

    def _batches(self) -> list[int]:
        whole, rest = divmod(len(self.mails), BATCH)
        return [BATCH] * whole + ([rest] if rest else [])

    def _step(self, name: str, office: str, step: Step) -> None:
        for size in self._batches():
            self._batch(name, office, step, size)

    def _batch(self, name: str, office: str, step: Step, size: int) -> None:
        laps, meter = self.laps.setdefault(name, Laps()), Meter(self.installation.home)
        with meter.lap(laps.costs), self.installation.office(office) as parts:
            done = step(parts, size)
        laps.cases.append(len(done))
        if len(done) != size:
            raise OutOfReachError("bench_step", f"{name} moved {len(done)} of {size} cases; run the tests")
        self.say(f"{name}: {size} cases in {laps.costs[-1].wall:.1f} s")

    def _receive(self) -> None:
        openpgp, begun = self.installation.settings().openpgp, 0
        for number, size in enumerate(self._batches()):
            self._batch("receive-mail", "intake", lambda parts, n: receive_mail(parts, limit=n), size)
            if number < PEER_BATCHES:
                self._peer("receive-mail", gpg_decrypt(self.mails[begun : begun + size], openpgp))
            begun += size

    def _collect(self) -> None:
        def step(parts: Parts, size: int) -> Sequence[str]:
            return collect(parts, in_stage(parts, Stage.IDENTIFIED, size))

        self._overheard("collect", "collector", step, "typst.compile", typst_compile)

    def _seal(self) -> None:
        def step(parts: Parts, size: int) -> Sequence[str]:
            return seal(parts, in_stage(parts, Stage.DECIDED, size))

        self._overheard("seal", "sealer", step, "vault.package.openpgp_package.make_archive", self._encrypt_again)

    def _encrypt_again(self, calls: Sequence[Call]) -> Cost:
        return gpg_encrypt([make_archive(call.arguments[0]) for call in calls], self.crowd.homes[0].public_key())

    def _overheard(
        self, name: str, office: str, step: Step, function: str, again: Callable[[Sequence[Call]], Cost]
    ) -> None:
        """Run a step, and give a bare tool what it gave to the same tool."""
        for number, size in enumerate(self._batches()):
            if number < PEER_BATCHES:
                with overheard(function) as calls:
                    self._batch(name, office, step, size)
                self._peer(name, again(calls))
            else:
                self._batch(name, office, step, size)

    def _peer(self, name: str, cost: Cost) -> None:
        self.theirs.setdefault(name, []).append(cost)

    def _publish(self) -> None:
        def step(parts: Parts, size: int) -> Sequence[str]:
            publish(parts)
            return [""] * size

        self._batch("publish-log", "keeper", step, len(self.mails))

    def _whole(self) -> None:
        with self.installation.office("operator") as parts, parts.database.connect() as connection:
            stages = [case.stage for case in all_cases(connection)]
        if stages != [Stage.ANSWERED] * len(self.mails):
            raise OutOfReachError("bench_road", "not every case was answered; run the tests")

    def _letters(self, count: int) -> None:
        """Receive forms by post; what they ask for was answered to others, so each becomes a case of its own."""
        folder = self.installation.settings().scans.folder
        for number, data in enumerate(sheets(self.crowd.people[:count])):
            (folder / f"sheet-{number:04d}.pdf").write_bytes(data)
        for _ in range(count):
            self._batch("receive-post", "intake", lambda parts, n: receive_post(parts, limit=n), 1)
        self._batch("identify-by-letter", "collector", lambda parts, n: identify(parts, to_identify(parts, n)), count)


def review(parts: Parts, size: int) -> Sequence[str]:
    """Open and release each draft, as the desk does for a clinician, without the time that she takes."""
    refs = in_stage(parts, Stage.DRAFTED, size)
    for ref in refs:
        release(parts, ref)
    return refs


def release(parts: Parts, ref: str) -> None:
    """Open one draft and release all of it."""
    clinician = Staff(f"bench-{next(_TURN) // A_SHIFT}", "Bench Clinician", frozenset({Role.CLINICIAN}))
    draft = open_draft(parts, ref, Purpose.REVIEW, clinician)
    rulings = [Ruling(document["id"], RELEASE) for document in draft.listing["documents"]]
    decide(parts, clinician, ref, draft.row.digest, rulings)
