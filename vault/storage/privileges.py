"""Brings the database's privileges to what :mod:`vault.storage.grants` says, exactly, and tells what stands there now.

Nothing is done where nothing differs, so that ``dsr migrate`` on a running system takes no lock for nothing;
what differs is taken away whole and given anew, in the migration's own transaction.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from psycopg import sql

from vault.domain.roles import OfficeName
from vault.errors import WrongUseError
from vault.settings import office_role
from vault.storage.callables import apply_callables
from vault.storage.database import Connection
from vault.storage.grants import OWNERS_ONLY, ROOMS, UNGUARDED
from vault.storage.moves import apply_moves
from vault.storage.rights import Right

_PUBLIC = "public"
_TABLES = "select relname, relrowsecurity from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
_GRANTED = """
select c.relname, case g.grantee when 0 then 'public' else g.grantee::regrole::text end,
    lower(g.privilege_type) || case when g.is_grantable then ' and give away' else '' end, ''
from pg_class c, aclexplode(c.relacl) g
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and g.grantee <> c.relowner
union
select c.relname, case g.grantee when 0 then 'public' else g.grantee::regrole::text end,
    lower(g.privilege_type) || case when g.is_grantable then ' and give away' else '' end, a.attname
from pg_class c join pg_attribute a on a.attrelid = c.oid, aclexplode(a.attacl) g
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and g.grantee <> c.relowner
"""
_POLICIES = """
select tablename, policyname, roles::text[],
    lower(cmd) || case permissive when 'PERMISSIVE' then '' else ' at most' end,
    coalesce(qual, ''), coalesce(with_check, '')
from pg_policies where schemaname = 'public'
"""
_ENTRY = """
select case grantee when 0 then 'public' else grantee::regrole::text end, lower(privilege_type) from (
    select g.* from pg_database d, aclexplode(d.datacl) g where datname = current_database() and g.grantee <> datdba
    union all
    select g.* from pg_namespace n, aclexplode(n.nspacl) g where nspname = 'public' and g.grantee <> nspowner
) given
"""
_COLUMNS = """
select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
"""
_PRESENT = "select rolname from pg_roles where rolname = any(%s)"


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands about one table: rights by column, policies, and whether row security is on.

    :param granted: grantee, verb, column or '' for all of them.
    :param policies: name, role, verb, rows to see, rows to write.
    :param columns: the table's; told, not compared.
    """

    granted: frozenset[tuple[str, str, str]] = frozenset()
    policies: frozenset[tuple[str, str, str, str, str]] = frozenset()
    guarded: bool = True
    columns: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(slots=True)
class _Building:
    granted: set[tuple[str, str, str]] = field(default_factory=set)
    policies: set[tuple[str, str, str, str, str]] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)

    def built(self, *, guarded: bool) -> Standing:
        return Standing(frozenset(self.granted), frozenset(self.policies), guarded, frozenset(self.columns))


def apply(connection: Connection, offices: Iterable[OfficeName] = tuple(OfficeName)) -> None:
    """Give each office exactly its rights and take away every other; as the owner, inside the caller's transaction.

    :param offices: whose roles must be there; the others' are served where they are.
    :raises WrongUseError: a role is missing: the administrator makes it first.
    """
    database = _name(connection)
    roles = {office: office_role(database, office) for office in OfficeName}
    there = {str(row[0]) for row in connection.execute(_PRESENT, (list(roles.values()),))}
    missing = sorted(roles[office] for office in offices if roles[office] not in there)
    if missing:
        advice = f"these database roles are missing: {', '.join(missing)}; run what `dsr database roles` prints first"
        raise WrongUseError("roles_missing", advice)
    _open_doors(connection, database, there)
    standing = found(connection)
    for table, goal in wanted(database, there, standing).items():
        if goal != standing[table]:
            _refit(connection, table, goal)
    apply_moves(connection)
    apply_callables(connection, database, there)


def wanted(database: str, roles: Iterable[str], tables: Mapping[str, Standing]) -> dict[str, Standing]:
    """Say what should stand about each of these tables for the roles that are there.

    :param database: its name, with which the roles' names begin.
    :param tables: as they stand; of an older schema a column may be missing, and is then nobody's.
    """
    there = set(roles)
    building = {table: _Building(columns=set(standing.columns)) for table, standing in tables.items()}
    for office, rooms in ROOMS.items():
        role = office_role(database, office)
        for table, rights in rooms.items():
            if role in there and table in building:
                for right in rights:
                    _plan(building[table], role, right, guarded=table not in UNGUARDED)
    return {table: built.built(guarded=table not in UNGUARDED) for table, built in building.items()}


def found(connection: Connection) -> dict[str, Standing]:
    """Read from the catalogue what stands about each table now; the owner's own rights are not told."""
    tables = {str(name): bool(guarded) for name, guarded in connection.execute(_TABLES)}
    building = {table: _Building() for table in tables}
    for table, column in connection.execute(_COLUMNS):
        building[table].columns.add(column)
    for table, role, verb, column in connection.execute(_GRANTED):
        building[table].granted.add((role.strip('"'), verb, column))
    for table, name, roles, verb, seen, written in connection.execute(_POLICIES):
        building[table].policies.add((name, ",".join(roles), verb, seen, written))
    return {table: building[table].built(guarded=guarded) for table, guarded in tables.items()}


def strangers(tables: Iterable[str]) -> set[str]:
    """Name the tables that no office's entry and no exception speaks of."""
    return set(tables) - {table for rooms in ROOMS.values() for table in rooms} - OWNERS_ONLY


def _plan(building: _Building, role: str, right: Right, *, guarded: bool) -> None:
    columns = building.columns.intersection(right.columns) if right.columns else {""}
    building.granted |= {(role, right.verb, column) for column in columns}
    if not guarded:
        return
    seen = right.rows if right.verb != "insert" else ""
    written = right.rows if right.verb in ("insert", "update") else ""
    building.policies.add((f"{role}_{right.verb}"[-63:], role, right.verb, seen, written))


def _name(connection: Connection) -> str:
    row = connection.execute("select current_database()").fetchone()
    return str(row[0]) if row else ""


def _open_doors(connection: Connection, database: str, roles: set[str]) -> None:
    """Let the offices in and nobody else, and give strangers nothing of what is made later."""
    standing = {(str(role).strip('"'), str(right)) for role, right in connection.execute(_ENTRY)}
    if standing == {(role, right) for role in roles for right in ("connect", "usage")}:
        return
    door = sql.Identifier(database)
    for grantee in sorted({role for role, _ in standing}):
        connection.execute(sql.SQL("revoke all on database {} from {}").format(door, _grantee(grantee)))
        connection.execute(sql.SQL("revoke all on schema public from {}").format(_grantee(grantee)))
    for kind in ("tables", "sequences", "functions", "types"):
        connection.execute(sql.SQL("alter default privileges revoke all on {} from public").format(sql.SQL(kind)))
    for role in sorted(roles):
        connection.execute(sql.SQL("grant connect on database {} to {}").format(door, sql.Identifier(role)))
        connection.execute(sql.SQL("grant usage on schema public to {}").format(sql.Identifier(role)))


def _grantee(name: str) -> sql.Composable:
    return sql.SQL(_PUBLIC) if name == _PUBLIC else sql.Identifier(name)


def _refit(connection: Connection, table: str, goal: Standing) -> None:
    """Take away every right and policy of a table, and give those that should stand."""
    place, before = sql.Identifier(table), found(connection)[table]
    guard = sql.SQL("enable" if goal.guarded else "disable")
    connection.execute(sql.SQL("alter table {} {} row level security").format(place, guard))
    for grantee in sorted({grantee for grantee, _, _ in before.granted}):
        connection.execute(sql.SQL("revoke all on table {} from {}").format(place, _grantee(grantee)))
    for name, *_ in sorted(before.policies):
        connection.execute(sql.SQL("drop policy {} on {}").format(sql.Identifier(name), place))
    for (grantee, verb), columns in sorted(_by_verb(goal).items()):
        given = sql.SQL("{} ({})" if columns else "{}").format(
            sql.SQL(verb), sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        connection.execute(sql.SQL("grant {} on table {} to {}").format(given, place, sql.Identifier(grantee)))
    for policy in sorted(goal.policies):
        connection.execute(_policy(place, policy))


def _by_verb(goal: Standing) -> Mapping[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for grantee, verb, column in sorted(goal.granted):
        found.setdefault((grantee, verb), []).extend([column] if column else [])
    return found


def _policy(place: sql.Identifier, policy: tuple[str, str, str, str, str]) -> sql.Composed:
    name, role, verb, seen, written = policy
    rows = [f" using ({seen})"] * bool(seen) + [f" with check ({written})"] * bool(written)
    head = sql.SQL("create policy {} on {} for {} to {}").format(
        sql.Identifier(name), place, sql.SQL(verb), sql.Identifier(role)
    )
    return sql.Composed([head, *map(sql.SQL, rows)])
