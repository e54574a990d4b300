"""`dsr log verify` against the database: every edited cell of the log's tables is found, and every cut tail."""

import tracemalloc
from collections.abc import Iterator

import pytest

from vault.accesslog.merkle import RightEdge, leaf_hash
from vault.accesslog.notes import Checkpoint, Note, Signature, parse_note, render_note
from vault.accesslog.publish import publish, sign_checkpoint
from vault.accesslog.recount import verify_database
from vault.accesslog.tiles import CHECKPOINT, history_name
from vault.accesslog.verify import Verdict
from vault.errors import ConflictError
from vault.storage import log as table
from vault.storage.database import Connection, Database
from vault.testing.accesslog import ORIGIN, LogBench, MemoryShelf, log_bench, log_database, look


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with log_database("dsr_recount") as opened:
        yield opened


@pytest.fixture
def bench(database: Database) -> LogBench:
    """Seven entries, checkpoints at three, five and (unpublished growth) none at seven."""
    made = log_bench(database)
    for count in (3, 2):
        made.log.record([look(subject=None), *[look()] * (count - 1)])
        publish(made.parts, made.shelf)
    made.log.record([look()] * 2)
    return made


def verdict(bench: LogBench) -> Verdict:
    return verify_database(bench.database, bench.key, bench.shelf)


def faults(bench: LogBench) -> set[tuple[str, str]]:
    found = verdict(bench)
    assert found.ok is (not found.faults)
    return set(found.faults)


def codes(bench: LogBench) -> set[str]:
    return {code for code, _ in faults(bench)}


def columns(database: Database) -> set[tuple[str, str]]:
    with database.connect() as connection:
        return {
            (str(table), str(column))
            for table, column in connection.execute(
                "select table_name, column_name from information_schema.columns where table_name like 'log\\_%'"
            )
        }


EDITS = {
    ("log_leaves", "idx"): [
        "update log_leaves set idx = 99 where idx = 6",
        "update log_leaves set idx = -1 where idx = 0",
    ],
    ("log_leaves", "leaf"): [
        "update log_leaves set leaf = '' where idx = 2",
        "update log_leaves set leaf = set_byte(leaf, 40, get_byte(leaf, 40) # 1) where idx = 2",
        "update log_leaves set leaf = (select leaf from log_leaves where idx = 3) where idx = 2",
    ],
    ("log_leaves", "entry"): [
        "update log_leaves set entry = set_byte(entry, 70, get_byte(entry, 70) # 1) where idx = 2",
        "update log_leaves set entry = (select entry from log_leaves where idx = 6) where idx = 5",
    ],
    ("log_leaves", "staff"): [
        "update log_leaves set staff = '' where idx = 2",
        "update log_leaves set staff = staff || '\\x00' where idx = 6",
    ],
    ("log_leaves", "case_ref"): [
        "update log_leaves set case_ref = 'DSR-2026-000000' where idx = 2",
        "update log_leaves set case_ref = null where idx = 2",
    ],
    ("log_leaves", "tag"): [
        "update log_leaves set tag = null where idx = 2",
        "update log_leaves set tag = set_byte(tag, 0, get_byte(tag, 0) # 1) where idx = 2",
        "update log_leaves set tag = (select tag from log_leaves where idx = 1) where idx = 0",
    ],
    ("log_leaves", "reader"): [
        "update log_leaves set reader = null where idx = 2",
        "update log_leaves set reader = set_byte(reader, 0, get_byte(reader, 0) # 1) where idx = 2",
    ],
    ("log_leaves", "at"): [
        "update log_leaves set at = null where idx = 2",
        "update log_leaves set at = at + interval '1 second' where idx = 2",
    ],
    ("log_edge", "one"): ["alter table log_edge drop constraint log_edge_one_check", "update log_edge set one = false"],
    ("log_edge", "size"): [
        "update log_edge set size = 6",
        "update log_edge set size = 8",
        "update log_edge set size = -7",
    ],
    ("log_edge", "hashes"): [
        "update log_edge set hashes = set_byte(hashes, 5, get_byte(hashes, 5) # 1)",
        "update log_edge set hashes = ''",
        "update log_edge set hashes = hashes || hashes",
    ],
    ("log_checkpoints", "size"): [
        "update log_checkpoints set size = 4 where size = 3",
        "update log_checkpoints set size = 7 where size = 5",
        "update log_checkpoints set size = -5 where size = 5",
        "update log_checkpoints set size = 9000000000000000000 where size = 5",
    ],
    ("log_checkpoints", "note"): [
        "update log_checkpoints set note = '' where size = 3",
        "update log_checkpoints set note = note || E'\\n' where size = 3",
        "update log_checkpoints set note = replace(note, '3', '4') where size = 3",
        "update log_checkpoints set note = (select note from log_checkpoints where size = 3) where size = 5",
        "update log_checkpoints set note = note || E'\\u2014 w.example/w AAAAAAAAAAAA\\n' where size = 3",
    ],
    ("log_checkpoints", "cosigned"): [
        "update log_checkpoints set cosigned = '' where size = 5",
        "update log_checkpoints set cosigned = (select note from log_checkpoints where size = 3) where size = 5",
        "update log_checkpoints set cosigned = note || (regexp_match(note, E'\\u2014.*\\n'))[1] where size = 5",
        (
            "update log_checkpoints set cosigned = replace(note, E'\\n\\n', E'\\n\\n\u2014 w.example/w AAAAAAAA\\n')"
            " where size = 5"
        ),
    ],
}


ELSEWHERE = {"log_days", "log_tiles", "log_claims"}  # tests/integration/test_log_beside.py
OF_NO_PROOF = {"log_progress"}


def test_the_table_of_edits_names_every_column(database: Database) -> None:
    found = {(table, column) for table, column in columns(database) if table not in ELSEWHERE | OF_NO_PROOF}
    assert found == set(EDITS)


def test_a_sound_log_agrees(bench: LogBench) -> None:
    found = verdict(bench)

    assert (found.ok, found.size, found.faults) == (True, 7, [])
    assert found.root == publish(bench.parts, bench.shelf).root


def test_an_empty_log_agrees(database: Database) -> None:
    bench = log_bench(database)

    assert verdict(bench).ok
    publish(bench.parts, bench.shelf)
    assert verdict(bench).ok


@pytest.mark.parametrize("edit", [edit for edits in EDITS.values() for edit in edits if "constraint" not in edit])
def test_every_edited_cell_is_found(bench: LogBench, edit: str) -> None:
    if " one = " in edit:
        bench.run("alter table log_edge drop constraint if exists log_edge_one_check")
    bench.run(edit)

    assert faults(bench)


def test_it_names_the_cell(bench: LogBench) -> None:
    bench.run("update log_leaves set tag = null, case_ref = null where idx = 2")
    bench.run("update log_leaves set staff = '' where idx = 4")

    assert faults(bench) == {
        ("column_differs", "log_leaves 2 case_ref"),
        ("column_differs", "log_leaves 2 tag"),
        ("column_differs", "log_leaves 4 staff"),
    }


@pytest.mark.parametrize(
    "harm",
    [
        "delete from log_leaves where idx = 0",
        "delete from log_leaves where idx = 4",
        "delete from log_leaves where idx = 6",
        "delete from log_leaves",
        "truncate log_edge",
        "delete from log_checkpoints where size = 5",
        "delete from log_checkpoints",
        "insert into log_leaves select 7, leaf, entry, staff, case_ref, tag from log_leaves where idx = 6",
    ],
)
def test_rows_that_go_or_come_are_found(bench: LogBench, harm: str) -> None:
    bench.run(harm)

    assert faults(bench)


def test_two_exchanged_rows_are_found(bench: LogBench) -> None:
    for old, new in ((5, 100), (6, 5), (100, 6)):
        bench.run("update log_leaves set idx = %s where idx = %s", (new, old))

    assert codes(bench) == {"edge_differs"}


def cut(bench: LogBench, size: int, *, edge: bool = True) -> None:
    """Cut the tail and, as a careful intruder would, give the edge of the shorter log."""
    bench.run("delete from log_leaves where idx >= %s", (size,))
    if not edge:
        return
    shorter = RightEdge()
    with bench.database.connect() as connection:
        for row in table.rows(connection):
            shorter.add(leaf_hash(row.leaf))
    bench.run("update log_edge set size = %s, hashes = %s", (size, shorter.packed()))


def test_a_tail_cut_before_any_checkpoint_is_found_by_the_edge(database: Database) -> None:
    bench = log_bench(database)
    bench.log.record([look()] * 6)
    cut(bench, 4, edge=False)

    assert faults(bench) == {("edge_differs", "log_edge")}


def test_tail_and_edge_cut_are_found_by_the_checkpoint(bench: LogBench) -> None:
    cut(bench, 4)

    assert faults(bench) >= {("checkpoint_beyond", "log_checkpoints 5"), ("published_beyond", "published checkpoint")}


def test_tail_edge_and_checkpoint_cut_are_found_by_what_was_published(bench: LogBench) -> None:
    cut(bench, 4)
    bench.run("delete from log_checkpoints where size = 5")

    assert faults(bench) == {
        ("published_beyond", "published checkpoint"),
        ("published_beyond", f"published {history_name(5)}"),
        ("claim_beyond", "log_claims"),
    }


def test_a_published_head_put_back_is_found_by_the_history(bench: LogBench) -> None:
    cut(bench, 4)
    bench.run("delete from log_checkpoints where size = 5")
    bench.shelf.replace_locked(CHECKPOINT, bench.shelf.get_locked(history_name(3)))

    assert faults(bench) == {("published_beyond", f"published {history_name(5)}"), ("claim_beyond", "log_claims")}


def test_a_rewritten_log_with_rewritten_checkpoints_is_found_by_what_was_published(bench: LogBench) -> None:
    again = log_bench(bench.database)
    again.log.record([look()] * 7)
    forged = LogBench(bench.database, bench.service, bench.keys, again.log, MemoryShelf())
    publish(forged.parts, forged.shelf)

    assert "root_differs" in codes(bench)


def test_a_fork_signed_by_the_log_itself_is_found(bench: LogBench) -> None:
    fork = sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), bench.service)
    bench.run("update log_checkpoints set note = %s where size = 5", (fork.decode(),))

    assert faults(bench) >= {
        ("root_differs", "log_checkpoints 5"),
        ("checkpoint_differs", f"published {history_name(5)}"),
    }


def test_a_checkpoint_with_a_line_or_signature_more_is_found(bench: LogBench) -> None:
    shelf_note = parse_note(bench.shelf.get_locked(history_name(3)))
    more = render_note(Note(shelf_note.text, (*shelf_note.signatures, Signature("w.example/w", bytes(4), bytes(64)))))
    extended = sign_checkpoint(Checkpoint(ORIGIN, 5, publish(bench.parts, bench.shelf).root, ("more",)), bench.service)
    bench.run("update log_checkpoints set note = %s where size = 3", (more.decode(),))
    bench.run("update log_checkpoints set note = %s where size = 5", (extended.decode(),))

    assert faults(bench) >= {
        ("checkpoint_added_to", "log_checkpoints 3"),
        ("checkpoint_added_to", "log_checkpoints 5"),
    }


def test_a_witness_s_line_behind_the_log_s_own_is_no_fault(bench: LogBench) -> None:
    bench.run("update log_checkpoints set cosigned = note || E'\u2014 w.example/w AAAAAAAAAAAA\\n' where size = 5")

    assert verdict(bench).ok


def test_what_is_logged_and_published_meanwhile_is_no_fault(bench: LogBench, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = table.rows

    def growing(connection: Connection) -> Iterator[table.LeafRow]:
        for row in rows(connection):
            bench.log.record([look()])
            publish(bench.parts, bench.shelf)
            yield row

    monkeypatch.setattr(table, "rows", growing)
    found = verdict(bench)
    monkeypatch.undo()

    assert (found.faults, found.size) == ([], 7)
    assert verdict(bench).size == 14


def test_a_lost_bucket_is_found(bench: LogBench) -> None:
    bench.shelf.versions.clear()

    assert faults(bench) == {("published_missing", f"published {history_name(5)}")}


def test_the_very_first_checkpoint_stored_and_not_yet_published_is_no_fault(bench: LogBench) -> None:
    fresh = log_bench(bench.database)
    fresh.log.record([look()] * 3)
    with pytest.raises(ConflictError):
        publish(fresh.parts, Refusing())

    assert verdict(fresh).ok


class Refusing(MemoryShelf):
    """A bucket that takes nothing."""

    def put_locked(self, key: str, data: bytes) -> None:
        raise ConflictError("refused", f"no {key} of {len(data)} bytes was put")


def test_a_checkpoint_that_is_stored_and_not_yet_published_is_no_fault(bench: LogBench) -> None:
    del bench.shelf.versions[history_name(5)]
    bench.shelf.versions[CHECKPOINT] = [bench.shelf.get_locked(history_name(3))]

    assert verdict(bench).ok


def test_another_log_s_head_in_the_bucket_is_found(bench: LogBench) -> None:
    other = log_bench(bench.database)

    bench.shelf.replace_locked(CHECKPOINT, sign_checkpoint(Checkpoint(ORIGIN, 5, bytes(32)), other.service))

    assert ("note_not_signed", "published checkpoint") in faults(bench)


def peak(bench: LogBench) -> int:
    tracemalloc.start()
    assert verdict(bench).ok
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used


def test_memory_stays_flat(database: Database) -> None:
    bench = log_bench(database)
    for _ in range(2):
        bench.log.record([look()] * 1000)
    peak(bench)
    small = peak(bench)

    for _ in range(6):
        bench.log.record([look()] * 1000)

    open_entries = 6 * 1000 * 64  # bytes: what no closed day covers yet is kept, 49 bytes each
    assert peak(bench) < small * 1.3 + open_entries
