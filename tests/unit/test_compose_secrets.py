"""infra/compose/make-secrets draws every secret that docker-compose.yml names, private and for the right account."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from vault.settings import read_secret

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("compose") / "secrets"
    place.mkdir()
    for name in ("mailbox-password", "smime.key"):
        (place / name).write_text("given by the operator")
    dsr = place.with_name("dsr")
    dsr.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from vault.cli import main; main()' \"$@\"\n")
    dsr.chmod(0o755)
    env = {**os.environ, "DSR": str(dsr)}
    for _ in range(2):  # the second time changes nothing
        before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
        done = subprocess.run(
            ["bash", ROOT / "infra/compose/make-secrets", place], check=False, capture_output=True, text=True, env=env
        )
        assert done.returncode == 0, done.stderr
        assert all(path.read_bytes() == content for path, content in before.items())
    return place


def test_make_secrets_draws_every_secret_but_those_that_only_the_operator_has(drawn: Path) -> None:
    files = {secret["file"].removeprefix("./infra/compose/secrets/") for secret in COMPOSE["secrets"].values()}

    missing = {file for file in files if not (drawn / file).is_file()}

    assert missing == {"smtp-password", "smime.crt", "web.crt", "web.key"}


def test_drawn_secrets_are_private_and_pass_the_vaults_own_reading(drawn: Path) -> None:
    for path in drawn.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o007 == 0, path
    for name in (
        "database-vault-password",
        "database-print-password",
        "objects-access-key",
        "keys/tokens/intake",
        "desk-session-secret",
    ):
        assert len(read_secret(drawn / name)) >= 20
    assert re.fullmatch(r"[A-Za-z0-9]{48}", read_secret(drawn / "database-airflow-password"))
    assert read_secret(drawn / "database-airflow-password") in read_secret(drawn / "airflow-database-url")
    assert read_secret(drawn / "redis-password") in read_secret(drawn / "broker-url")


@pytest.mark.parametrize(
    ("name", "owner", "group"),
    [
        ("airflow-jwt-secret", 10001, 10001),
        ("keys/tokens/sealer", 10001, 10001),
        ("database-vault-password", 10001, 999),
        ("database-sealer-password", 10001, 999),
        ("database-admin-password", 999, 999),
        ("database.key", 999, 999),
        ("redis-password", 999, 999),
        ("objects-secret-key", 10001, 0),
        ("objects-root-password", 0, 0),
        ("mailbox-password", 10001, 10001),
    ],
)
def test_a_secret_belongs_to_the_account_that_reads_it(drawn: Path, name: str, owner: int, group: int) -> None:
    status = (drawn / name).stat()

    if os.geteuid() == 0:
        assert (status.st_uid, status.st_gid) == (owner, group)
    else:
        assert status.st_uid == os.geteuid()
