"""Which office may move a case from which stage to which, held by the database itself.

Made of the table of moves (:data:`vault.domain.case.TRANSITIONS`) and of what each office may say has happened
(:data:`vault.storage.grants.EVENTS`), so that a stolen password moves no case further than its office does.
Whom row security does not bind, the owner, these moves do not bind either.
"""

from psycopg import sql

from vault.domain.case import TRANSITIONS
from vault.storage.database import Connection
from vault.storage.grants import EVENTS

_NAME = "case_moves"
_BODY = """
begin
    if new.version = old.version + 1 and (old.stage = new.stage
        or (substr(current_user, length(current_database()) + 2), old.stage, new.stage) in ({}))
    then return new; end if;
    raise exception 'this office does not move a case so' using errcode = 'insufficient_privilege';
end
"""
_FUNCTION = "create or replace function case_moves() returns trigger language plpgsql set search_path = '' as {}"
_TRIGGER = """
create or replace trigger case_moves before update on cases for each row
when (row_security_active('public.cases'::regclass)) execute function case_moves()
"""
_STANDING = "select prosrc from pg_proc where proname = %s and pronamespace = 'public'::regnamespace"
_HAS_CASES = "select 1 from pg_class where relname = 'cases' and relnamespace = 'public'::regnamespace"


def moves() -> list[tuple[str, str, str]]:
    """List office, stage before and stage after."""
    return sorted(
        {
            (office.value, before.value, after.value)
            for office, events in EVENTS.items()
            for (before, event), after in TRANSITIONS.items()
            if event in events and before is not after
        }
    )


def apply_moves(connection: Connection) -> None:
    """Bring the trigger to this release's moves; nothing is done where it is so already."""
    allowed = ", ".join(f"('{office}', '{before}', '{after}')" for office, before, after in moves())
    body = _BODY.format(allowed)
    row = connection.execute(_STANDING, (_NAME,)).fetchone()
    if connection.execute(_HAS_CASES).fetchone() is None:
        connection.execute("drop function if exists case_moves()")
    elif row is None or row[0] != body:
        connection.execute(sql.SQL(_FUNCTION).format(sql.Literal(body)))
        connection.execute(_TRIGGER)
        connection.execute("revoke all on function case_moves() from public")
