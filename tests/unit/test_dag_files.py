"""DAG files and plugins say when and in what order; everything else is the product's."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DAGS = sorted((ROOT / "dags").glob("*.py"))
PLUGINS = sorted((ROOT / "plugins").glob("*.py"))
ALLOWED = ("vault.office", "vault.steps", "vault.settings")


def _imports(path: Path) -> list[tuple[str, int]]:
    """Every imported module with the column of its statement: 0 is module level."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, node.col_offset))
        elif isinstance(node, ast.Import):
            found += [(alias.name, node.col_offset) for alias in node.names]
    return found


def test_the_nine_dags_are_there() -> None:
    names = "check_identity keep_custody prepare_answers publish_log receive_mail receive_post release_packages"
    assert {path.stem for path in DAGS} == {*names.split(), "review_drafts", "watch_deadlines"}
    assert {path.stem for path in PLUGINS} == {"dsr_desk", "dsr_triggers"}


@pytest.mark.parametrize("name", ["receive_mail", "receive_post"])
def test_a_door_that_took_nothing_still_calls_for_what_waits(name: str) -> None:
    (task,) = [
        node
        for node in ast.walk(ast.parse((ROOT / "dags" / f"{name}.py").read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    (skip,) = [node for node in ast.walk(task) if isinstance(node, ast.If)]
    assert ast.unparse(skip).startswith("if not new:\n    raise AirflowSkipException")
    assert "new = anything_new(parts, taken)" in ast.unparse(task)


@pytest.mark.parametrize("path", DAGS, ids=lambda path: path.stem)
def test_a_dag_file_has_at_most_sixty_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 60


@pytest.mark.parametrize("path", [*DAGS, *PLUGINS], ids=lambda path: path.stem)
def test_only_office_steps_and_settings_are_used_and_only_inside_tasks(path: Path) -> None:
    ours = [(module, column) for module, column in _imports(path) if module.split(".")[0] == "vault"]
    assert all(module.startswith(ALLOWED) for module, _ in ours)
    assert all(column > 0 for _, column in ours)
