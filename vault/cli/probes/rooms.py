"""An office's own room in the database: an ordinary role that owns nothing and may do what the table says, no more."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import psycopg

from vault.cli.probes.finding import Trial, UnfitError
from vault.domain.roles import OfficeName
from vault.storage.grants import ROOMS, UNGUARDED

Connect: TypeAlias = "Callable[[], psycopg.Connection[tuple[object, ...]]]"
_POWERS = """
select array_remove(array[case when rolsuper then 'is a superuser' end, case when rolcreaterole then 'makes roles' end,
    case when rolcreatedb then 'makes databases' end, case when rolreplication then 'may replicate' end,
    case when rolbypassrls then 'passes by row security' end,
    case when exists (select from pg_auth_members where member = r.oid) then 'belongs to another role' end], null)
from pg_roles r where rolname = current_user
"""
_OWNED = """
select array(select relname::text from pg_class where relowner = current_user::regrole
    union select datname::text from pg_database where datdba = current_user::regrole
    union select nspname::text from pg_namespace where nspowner = current_user::regrole
    union select proname::text from pg_proc where proowner = current_user::regrole)
"""
_MAKES = """
select array_remove(array[case when has_schema_privilege('public', 'create') then 'tables' end,
    case when has_database_privilege(current_database(), 'create') then 'schemas' end,
    case when has_database_privilege(current_database(), 'temporary') then 'temporary tables' end], null)
"""
_ENTERS = """
select array(select datname::text from pg_database where datallowconn and datname <> current_database()
    and has_database_privilege(oid, 'connect'))
"""
_ROOM = """
select array(select c.relname || ' ' || v from pg_class c,
    unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) v
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'm', 'p') and case
        when v in ('delete', 'truncate', 'trigger') then has_table_privilege(c.oid, v)
        else has_any_column_privilege(c.oid, v) end)
"""
_UNGUARDED = """
select array(select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
    and not row_security_active(oid))
"""


def room_trials(office: str, connect: Connect) -> Iterator[Trial]:
    """Try the role that an office logs in as.

    :param connect: opens a connection of that role.
    """
    yield f"lets the office {office} in", partial(_told, connect, "select array[]::text[]", "", "let in")
    yield (
        f"gives {office} no power over roles",
        partial(_told, connect, _POWERS, "it {}; take that away", "an ordinary role"),
    )
    yield (
        f"lets {office} own nothing",
        partial(_told, connect, _OWNED, "it owns {}; give that to the owner", "owns nothing"),
    )
    yield (
        f"lets {office} make nothing",
        partial(_told, connect, _MAKES, "it makes {}; run dsr migrate", "makes nothing"),
    )
    yield (
        f"keeps {office} out of other databases",
        partial(_told, connect, _ENTERS, "it enters {}; revoke all on these from public", "enters this one only"),
    )
    yield f"shows {office} its own room alone", partial(_own_room, OfficeName(office), connect)
    yield f"guards rows from {office}", partial(_guarded, connect)


def _list(connect: Connect, query: str) -> list[str]:
    with connect() as connection:
        row = connection.execute(query.encode()).fetchone()
    found = row[0] if row else None
    return sorted(map(str, found)) if isinstance(found, list) else []


def _told(connect: Connect, query: str, unfit: str, fit: str) -> str:
    found = _list(connect, query)
    if found:
        raise UnfitError(unfit.format(", ".join(found)))
    return fit


def _guarded(connect: Connect) -> str:
    open_ = [table for table in _list(connect, _UNGUARDED) if table not in UNGUARDED]
    if open_:
        raise UnfitError(f"not in {', '.join(open_)}; run dsr migrate")
    return "row security is on"


def _own_room(office: OfficeName, connect: Connect) -> str:
    """Compare what the role may do now, by whatever way, with the table of grants."""
    wanted = {f"{table} {right.verb}" for table, rights in ROOMS[office].items() for right in rights}
    standing = set(_list(connect, _ROOM))
    if standing != wanted:
        more, less = sorted(standing - wanted), sorted(wanted - standing)
        words = [f"may also {', '.join(more)}"] * bool(more) + [f"may not {', '.join(less)}"] * bool(less)
        raise UnfitError(f"it {' and '.join(words)}; run dsr migrate with this release")
    return f"{len({word.split()[0] for word in wanted})} tables"
