"""Which address got an automatic answer within the last day: marks and times, so that a loop ends.

The mark is a MAC under a key that stays in the key service, as in :mod:`vault.storage.arrivals`,
and it is forgotten after a day.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from vault.storage.database import Connection, columns
from vault.storage.outgoing import INTENDED, WITHHELD, Outgoing

_DAY = timedelta(days=1)


def intend_answers(
    connection: Connection, answers: Sequence[tuple[Outgoing, bytes]], most: int, at: datetime
) -> set[str]:
    """Record the intents of automatic answers in the caller's transaction; return which were intended.

    One beyond what its address gets is withheld, and noted so.

    :param answers: each intended and not recorded yet, with the mark of the address that it goes to.
    :param most: answers that an address gets within 24 hours; older ones are forgotten.
    """
    rows = [(item.ref, item.case_ref, item.kind, item.road, sender) for item, sender in answers]
    found = connection.execute(
        "with given as (select * from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %b::bytea[])"
        " with ordinality as given (ref, case_ref, kind, road, sender, number)),"
        " forgotten as (delete from mail_answers where at < %s),"
        " seen as (select sender, count(*) as answers from mail_answers"
        " where sender in (select sender from given) and at >= %s group by sender),"
        " judged as (select given.*, coalesce(answers, 0) + row_number() over (partition by sender order by number)"
        " <= %s as few from given left join seen using (sender)),"
        " noted as (insert into mail_answers (item_ref, sender, at)"
        " select ref, sender, %s from judged where few on conflict do nothing)"
        " insert into outgoing (ref, case_ref, kind, road, state, intended_at)"
        " select ref, case_ref, kind, road, case when few then %s else %s end, %s from judged"
        " on conflict do nothing returning ref, state",
        (*columns(rows, 5), at - _DAY, at - _DAY, most, at, INTENDED, WITHHELD, at),
    ).fetchall()
    return {str(ref) for ref, state in found if state == INTENDED}
