"""Which address got an automatic answer within the last day: marks and times, so that a loop ends.

The mark is a MAC under a key that stays in the key service, as in :mod:`vault.storage.arrivals`,
and it is forgotten after a day.
"""

from dataclasses import astuple
from datetime import timedelta

from vault.storage.database import Connection
from vault.storage.outgoing import INTENDED, WITHHELD, Outgoing

_DAY = timedelta(days=1)


def intend_answer_of(connection: Connection, item: Outgoing, sender: bytes, most: int) -> bool:
    """Record the intent of an automatic answer in the caller's transaction; False where it is withheld, and noted so.

    :param item: intended, and not recorded yet.
    :param sender: the mark of the address that it goes to.
    :param most: answers that an address gets within 24 hours; older ones are forgotten.
    """
    ref, case_ref, kind, road, _, at, _ = astuple(item)
    row = connection.execute(
        "with forgotten as (delete from mail_answers where at < %(since)s),"
        " seen as (select count(*) < %(most)s as few from mail_answers where sender = %(sender)s and at >= %(since)s),"
        " noted as (insert into mail_answers (item_ref, sender, at)"
        " select %(ref)s::text, %(sender)s, %(at)s from seen where few on conflict do nothing)"
        " insert into outgoing (ref, case_ref, kind, road, state, intended_at) select %(ref)s::text, %(case)s::text,"
        " %(kind)s::text, %(road)s::text, case when few then %(intended)s::text else %(withheld)s::text end, %(at)s"
        " from seen on conflict do nothing returning state",
        {
            "ref": ref,
            "case": case_ref,
            "kind": kind,
            "road": road,
            "at": at,
            "since": at - _DAY,
            "sender": sender,
            "most": most,
            "intended": INTENDED,
            "withheld": WITHHELD,
        },
    ).fetchone()
    return row is not None and row[0] == INTENDED
