"""Which office may call which of the database's own functions; nobody else may call any."""

from collections.abc import Iterable, Mapping
from typing import Final

from psycopg import sql

from vault.domain.roles import OfficeName
from vault.settings import office_role
from vault.storage.database import Connection
from vault.storage.grants import ROOMS

# whoever hears of honey records writes to the access log
_WRITERS: Final = tuple(office for office, rooms in ROOMS.items() if "honey" in rooms)
CALLABLE: Final[Mapping[str, tuple[OfficeName, ...]]] = {
    "log_append": _WRITERS,
    "log_grow": _WRITERS,
    "log_close": (OfficeName.KEEPER,),
}
_FUNCTIONS = "select oid::regprocedure::text, proname from pg_proc where pronamespace = 'public'::regnamespace"
_CALLABLE = """
select p.oid::regprocedure::text, case g.grantee when 0 then 'public' else g.grantee::regrole::text end
from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
where p.pronamespace = 'public'::regnamespace and g.grantee <> p.proowner
"""


def callable_now(connection: Connection) -> set[tuple[str, str]]:
    """Read from the catalogue who may call what: the function with its parameters' types, and the role."""
    return {(str(function), str(role).strip('"')) for function, role in connection.execute(_CALLABLE)}


def callable_by(connection: Connection, database: str, roles: Iterable[str]) -> set[tuple[str, str]]:
    """Say who should be able to call what, among the functions and roles that are there."""
    there = set(roles)
    return {
        (str(function), role)
        for function, name in connection.execute(_FUNCTIONS)
        for office in CALLABLE.get(str(name), ())
        if (role := office_role(database, office)) in there
    }


def apply_callables(connection: Connection, database: str, roles: Iterable[str]) -> None:
    """Let each office call exactly its functions; nothing is done where nothing differs."""
    goal, standing = callable_by(connection, database, roles), callable_now(connection)
    for function, role in sorted(standing - goal):
        taken = sql.SQL("public") if role == "public" else sql.Identifier(role)
        connection.execute(sql.SQL("revoke all on function {} from {}").format(sql.SQL(function), taken))
    for function, role in sorted(goal - standing):
        connection.execute(
            sql.SQL("grant execute on function {} to {}").format(sql.SQL(function), sql.Identifier(role))
        )
