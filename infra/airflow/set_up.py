"""Make Airflow's tables, our roles with exactly the rights in roles.json, and users; in one process, run again at will.

Reads the users as JSON from standard input: ``[{"username", "role", "first_name", "last_name", "email", "password"}]``.
"""

import json
import sys
from pathlib import Path
from typing import Any

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils import db
from airflow.utils.providers_configuration_loader import providers_configuration_loaded


def rights(plan: dict[str, Any], name: str) -> set[tuple[str, str]]:
    """List a role's (action, resource) pairs, its base's included."""
    role = plan["roles"][name]
    parts = [role["and"], plan["bases"][role["base"]] if role["base"] else {}]
    return {(action, resource) for part in parts for resource, actions in part.items() for action in actions}


def make_role(manager: Any, plan: dict[str, Any], name: str) -> None:
    """Give a role these rights and take away every other."""
    role = manager.add_role(name)
    role.permissions = [manager.create_permission(*right) for right in sorted(rights(plan, name))]
    manager.session.commit()


def make_user(manager: Any, user: dict[str, str]) -> None:
    """Add a user, or give an existing one this role and password again."""
    role = manager.find_role(user["role"])
    known = manager.find_user(username=user["username"])
    if known is None:
        manager.add_user(
            user["username"], user["first_name"], user["last_name"], user["email"], role, password=user["password"]
        )
        return
    known.roles = [role]
    manager.update_user(known)
    manager.reset_password(known.id, user["password"])


@providers_configuration_loaded
def main() -> None:
    """Do all of it."""
    plan = json.loads(Path(__file__).with_name("roles.json").read_text(encoding="utf-8"))
    users = json.load(sys.stdin)
    db.upgradedb()
    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        for name in plan["roles"]:
            make_role(manager, plan, name)
        for user in users:
            make_user(manager, user)
    print(json.dumps({"roles": sorted(plan["roles"]), "users": [user["username"] for user in users]}))


if __name__ == "__main__":
    main()
