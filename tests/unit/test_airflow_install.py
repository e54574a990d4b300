"""`dsr airflow`: what is placed where, and which rights the roles have as they stand in the code."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vault.cli import main
from vault.cli.airflow import set_up, shipped
from vault.domain.roles import Role
from vault.errors import WrongUseError

PLAN = json.loads((shipped("infra") / "roles.json").read_text(encoding="utf-8"))
USERS = json.loads((shipped("infra") / "users.json").read_text(encoding="utf-8"))
STAFF = sorted(Role)


def rights(role: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    base = PLAN["roles"][role]["base"]
    for part in (PLAN["roles"][role]["and"], PLAN["bases"][base] if base else {}):
        for resource, actions in part.items():
            found.setdefault(resource, set()).update(actions)
    return found


def test_the_dags_the_plugins_and_the_sign_in_settings_are_placed(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["airflow", "install", str(tmp_path / "af"), "--json"])

    answer = json.loads(done.output)
    assert done.exit_code == 0
    assert "dags/review_drafts.py" in answer["files"]
    assert "plugins/dsr_desk.py" in answer["files"]
    assert all((tmp_path / "af" / file).is_file() for file in answer["files"])


def test_a_directory_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = CliRunner().invoke(main, ["airflow", "install", str(tmp_path / "file" / "af"), "--json"])

    assert done.exit_code == 2
    assert json.loads(done.output)["error"] == "directory_unwritable"


def test_a_set_up_without_a_database_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(WrongUseError) as caught:
        set_up(tmp_path / "passwords", demo_users=True, env={})

    assert caught.value.code == "airflow_database"
    assert not (tmp_path / "passwords").exists()


@pytest.mark.parametrize("role", STAFF)
def test_the_staff_see_the_human_tasks_and_the_way_to_the_desk(role: str) -> None:
    held = rights(role)

    for resource in ("DAGs", "DAG Runs", "Task Instances", "HITL Detail", "Plugins", "Website"):
        assert "can_read" in held[resource]
    assert "menu_access" in held["HITL Detail"]


@pytest.mark.parametrize("role", STAFF)
def test_the_staff_change_nothing_in_airflow_but_their_password_and_the_operator_runs_dags(role: str) -> None:
    changing = {
        (resource, action)
        for resource, actions in rights(role).items()
        for action in actions - {"can_read", "menu_access"}
    } - {("My Password", "can_edit")}

    assert changing == ({("DAGs", "can_edit"), ("DAG Runs", "can_create")} if role == Role.OPERATOR else set())


@pytest.mark.parametrize("role", PLAN["roles"])
def test_no_role_reads_secrets_or_what_tasks_hand_over(role: str) -> None:
    assert not {"Connections", "Variables", "XComs", "Configurations", "Users", "Roles", "Passwords"} & set(
        rights(role)
    )


def test_the_desk_answers_human_tasks_of_two_dags_and_wakes_dags_by_assets() -> None:
    held = rights("DeskService")

    assert "can_edit" in held["HITL Detail"]
    assert "can_create" in held["Assets"]
    assert "DAGs" not in held
    assert {name for name, actions in held.items() if name.startswith("DAG:") and "can_edit" in actions} == {
        "DAG:check_identity",
        "DAG:review_drafts",
    }
    assert "can_edit" not in held["Task Instances"]


def test_the_service_user_is_made_always_and_one_user_a_role_for_the_demo() -> None:
    assert [(user["username"], user["role"]) for user in USERS["service"]] == [("desk", "DeskService")]
    assert sorted(user["role"] for user in USERS["demo"]) == STAFF


def test_nobody_is_admin() -> None:
    assert "Admin" not in {user["role"] for group in USERS.values() for user in group}
