"""A thief of one office's database password: tries every verb on every table, with psql and from Python.

Each attempt is rolled back. What it tells is what the database answered, not what it was told to allow.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from vault.crypto.keyservice import BOXES, KINDS
from vault.domain.alarms import AlarmCode
from vault.domain.case import Event, Stage
from vault.domain.records import RecordKind
from vault.settings import DatabaseSettings, read_secret
from vault.storage.database import conninfo
from vault.testing import processes
from vault.testing.postgres import PostgresServer

REFUSED: Final = "42501"  # insufficient_privilege: no right, or no such row for this office
_PASSED: Final = ("00000", "23502", "23503", "23505")  # rights are looked at before a row's own constraints
ITEMS: Final = (
    "particulars reply original attachment:1 candidate code answer_key draft "
    "evidence question closing emergency:1 emergency-review:1 other"
)
_STATES: Final = "intended sending sent ready printed posted"
# the column by which an office may be bound to some rows of a table, and the words that stand in it
KINDS_OF_ROWS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "cases": ("stage", tuple(Stage)),
    "case_events": ("event", tuple(Event)),
    "sealed_keys": ("box", BOXES),
    "sealed_items": ("name", tuple(ITEMS.split())),
    "wrapped_keys": ("kind", KINDS),
    "records": ("kind", tuple(RecordKind)),
    "outgoing": ("state", tuple(_STATES.split())),
    "alarms": ("code", tuple(AlarmCode)),
}
_CHANGED: Final[Mapping[str, str]] = {  # by row too
    "cases": "version",
    "outgoing": "state",
    "wrapped_keys": "wrapped",
    "alarms": "count",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One statement, and what it tries.

    :param what: a column, a kind of row, or nothing.
    """

    verb: str
    table: str
    what: str
    statement: str


@dataclass(slots=True)
class Loot:
    """What one verb opened in one table: which columns, and which kinds of rows."""

    columns: set[str] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)


def attempts(tables: Mapping[str, Sequence[str]], office: str) -> Iterator[Attempt]:
    """List every verb on every table, column by column and kind by kind.

    :param tables: each table's columns.
    :param office: who is played; events are signed with its name.
    """
    for table, columns in tables.items():
        kind, words = KINDS_OF_ROWS.get(table, ("", ()))
        for column in columns:
            yield Attempt("select", table, f".{column}", _say("select {} from {} limit 1", column, table))
            yield Attempt("update", table, f".{column}", _say("update {} set {}", table, _change(table, column)))
        yield Attempt("delete", table, "", _say("delete from {}", table))
        yield Attempt("insert", table, "", _say("insert into {} default values", table))
        for word in words:
            where = f"where {kind} = '{word}'"
            yield Attempt("select", table, word, _say("select {} from {} {}", kind, table, where))
            yield Attempt("delete", table, word, _say("delete from {} {}", table, where))
            yield Attempt("insert", table, word, _insertion(table, kind, word, office))
            if table in _CHANGED:
                change = _change(table, _CHANGED[table])
                yield Attempt("update", table, word, _say("update {} set {} {}", table, change, where))


def _change(table: str, column: str) -> str:
    """Change nothing, but a case's version, which each change counts up."""
    same = f"{column} = {column}"
    if table != "cases":
        return same
    return "version = version + 1" if column == "version" else f"version = version + 1, {same}"


def _insertion(table: str, kind: str, word: str, office: str) -> str:
    own, first = ("actor", f"'office:{office}'"), ("version", "1")
    besides = {"sealed_items": first, "wrapped_keys": first, "case_events": own}.get(table)
    names, values = (f"{kind}, {besides[0]}", f"'{word}', {besides[1]}") if besides else (kind, f"'{word}'")
    return _say("insert into {} ({}) values ({})", table, names, values)


def _say(words: str, *names: str) -> str:
    """Put names from the catalogue and from our own enumerations into a statement."""
    return words.format(*names)


def by_python(settings: DatabaseSettings, tried: Sequence[Attempt]) -> list[tuple[str, int]]:
    """Try them with psycopg; return each one's SQLSTATE and number of rows."""
    answers = []
    with psycopg.connect(conninfo(settings), autocommit=True) as connection:
        for attempt in tried:
            connection.execute("begin")
            try:
                answers.append(("00000", connection.execute(attempt.statement.encode()).rowcount))
            except psycopg.Error as error:
                answers.append((str(error.sqlstate), 0))
            connection.execute("rollback")
    return answers


def by_psql(server: PostgresServer, settings: DatabaseSettings, tried: Sequence[Attempt]) -> list[tuple[str, int]]:
    """Try them with the server's own psql; return each one's SQLSTATE and number of rows."""
    process = processes.running_in(server.home)[0].pid
    psql = Path(f"/proc/{process}/exe").readlink().with_name("psql")
    command = [str(psql), "-X", "-q", "-h", settings.host, "-p", str(settings.port), "-U", settings.user, settings.name]
    lines = (f"begin;\n{a.statement} \\g /dev/null\n\\echo :SQLSTATE :ROW_COUNT\nrollback;\n" for a in tried)
    environment = {**os.environ, "PGPASSWORD": read_secret(settings.password_file)}
    done = subprocess.run(
        command, input="".join(lines), env=environment, check=True, capture_output=True, encoding="utf-8"
    )
    return [(state, int(rows)) for state, rows in map(str.split, done.stdout.splitlines())]


def loot(tried: Sequence[Attempt], answers: Sequence[tuple[str, int]]) -> dict[str, dict[str, Loot]]:
    """Sort what was opened by verb and table.

    :raises AssertionError: the database answered neither yes nor no.
    """
    found: dict[str, dict[str, Loot]] = {verb: {} for verb in ("select", "insert", "update", "delete")}
    for attempt, (state, rows) in zip(tried, answers, strict=True):
        if state not in (*_PASSED, REFUSED):
            raise AssertionError(f"{attempt.statement}: {state}")
        if state == REFUSED:
            continue
        mine = found[attempt.verb].setdefault(attempt.table, Loot())
        if attempt.what.startswith("."):
            mine.columns.add(attempt.what[1:])
        elif attempt.what and (rows or attempt.verb == "insert" or state != _PASSED[0]):
            mine.rows.add(attempt.what)
    return found


def told(table: str, loot: Loot, columns: Sequence[str], *, verb: str) -> str:
    """Write what was opened as docs/threat-model.md does: ``table``, its columns if not all, its rows if not all."""
    words = f"`{table}`"
    if verb in ("select", "update") and loot.columns != set(columns):
        words += f" ({', '.join(column for column in columns if column in loot.columns)})"
    kinds = KINDS_OF_ROWS.get(table, ("", ()))[1] if verb != "update" or table in _CHANGED else ()
    others = [kind for kind in kinds if kind not in loot.rows]
    if others and len(others) < len(loot.rows):
        return f"{words}: not {', '.join(others)}"
    return f"{words}: {', '.join(kind for kind in kinds if kind in loot.rows)}" if others else words
