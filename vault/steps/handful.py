"""What is known of some arrivals when their one transaction begins, and what it writes of them at its end.

Looked up and written for all of them together: of a hundred messages each costs a few statements of its own,
and the rest is shared.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vault.crypto.boxes import seal_key
from vault.domain.case import Case
from vault.domain.private import Private
from vault.steps.casefile import sealed_item
from vault.steps.parts import Parts
from vault.storage import mailroom, outgoing
from vault.storage.answers import intend_answers
from vault.storage.arrivals import Arrival, add_arrivals, by_digest
from vault.storage.cases import open_cases
from vault.storage.database import Connection
from vault.storage.keys import add_sealed_keys, put_items
from vault.storage.mailroom import MailIdentity
from vault.storage.outgoing import Outgoing


@dataclass(frozen=True, slots=True)
class Landing(Private):
    """What is written about one arrival.

    :param sender: the mark of the address that an answer to it would go to.
    :param keys: owner to new key, to be sealed in the transaction.
    :param beside: owner, name, version and envelope of what rests beside the case, not in the object store.
    :param since: when its round through the mailbox began.
    """

    arrival: Arrival
    identity: MailIdentity | None
    sender: bytes
    keys: dict[str, bytes]
    since: datetime
    beside: tuple[tuple[str, str, int, bytes], ...] = ()


@dataclass(slots=True)
class Handful(Private):
    """The arrivals of one transaction.

    :param known: what was made of the very same message, by its source.
    :param twins: the first arrival of each content, those of this transaction among them.
    """

    known: dict[bytes, Arrival]
    twins: dict[bytes, Arrival]
    _cases: list[Case] = field(default_factory=list)
    _arrivals: list[Arrival] = field(default_factory=list)
    _identities: dict[str, MailIdentity] = field(default_factory=dict)
    _keys: dict[str, bytes] = field(default_factory=dict)
    _items: list[tuple[str, str, int, bytes]] = field(default_factory=list)
    _answers: list[tuple[Outgoing, bytes]] = field(default_factory=list)

    @classmethod
    def open(cls, connection: Connection, landings: Sequence[Landing]) -> "Handful":
        """Let nobody else decide about these contents until the transaction ends, and look up what is known of them."""
        places = {one.arrival.source: one.identity for one in landings}
        digests = [one.arrival.digest for one in landings]
        mailroom.serialise(connection, [*digests, *(one.content for one in places.values() if one)])
        known = mailroom.taken_before(connection, places, min(one.since for one in landings))
        return cls(known, by_digest(connection, digests))

    def open_case(self, case: Case) -> None:
        """Note a new case; it is written with all others, or before something that is appended to it."""
        self._cases.append(case)

    def enter(
        self,
        arrival: Arrival,
        landing: Landing,
        items: Iterable[tuple[str, str, dict[str, Any]]],
        answer: Outgoing | None,
    ) -> None:
        """Note one arrival, with its case.

        :param landing: its identity, and the keys that it has by now.
        :param items: owner, name and value of what is sealed with it, under a key of the landing's.
        :param answer: the one that it deserves, to be intended.
        """
        self._answers += [(answer, landing.sender)] if answer else []
        self.twins.setdefault(arrival.digest, arrival)
        self._arrivals.append(arrival)
        self._identities.update({arrival.ref: landing.identity} if landing.identity else {})
        self._keys.update(landing.keys)
        self._items += landing.beside
        for owner, name, value in items:
            self._items.append((owner, name, 1, sealed_item(landing.keys[owner], owner, name, value)))

    def write_cases(self, connection: Connection, parts: Parts) -> None:
        """Write down the new cases, so that more can be appended to them."""
        if self._cases:
            open_cases(connection, self._cases, actor=parts.actor, at=parts.now())
            self._cases = []

    def write(self, connection: Connection, parts: Parts, public: bytes) -> set[str]:
        """Write down what was noted; return the answers that are to be sent.

        :param public: the public half of the box that cases' keys are sealed to, 32 bytes.
        """
        at = parts.now()
        self.write_cases(connection, parts)
        add_arrivals(connection, self._arrivals)
        mailroom.add_identities(connection, self._identities, at)
        mailroom.forget(connection, [one.source for one in self._arrivals if one.ref in self._identities])
        sealed = {owner: seal_key(public, owner, key) for owner, key in self._keys.items()}
        add_sealed_keys(connection, "case", sealed)
        put_items(connection, self._items)
        letters = [item for item, _ in self._answers if item.road == "post" and outgoing.intend(connection, item)]
        mails = [(item, sender) for item, sender in self._answers if item.road == "mail"]
        sent = intend_answers(connection, mails, parts.settings.replies.a_day, at) if mails else set()
        return sent.union(item.ref for item in letters)
