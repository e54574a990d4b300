"""`dsr doctor` calls real servers fit, and names what a stand-in, a lax server or a lax file breaks."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from vault.cli import main
from vault.cli.doctor import PROBES, examine
from vault.cli.probes import keys as keys_probe
from vault.cli.probes import objects as objects_probe
from vault.cli.probes.finding import Finding
from vault.cli.probes.secretfiles import secret_files
from vault.crypto.local import LocalKeyService
from vault.errors import VaultError
from vault.settings import ObjectSettings, Settings
from vault.storage.objects import Objects
from vault.testing import moto_server
from vault.testing.installation import Installation, installed

_NO_DISK = "keeps what was committed through a crash"  # tests do not wait for the disk


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with installed() as found:
        yield found


@pytest.fixture
def settings(installation: Installation) -> Settings:
    return installation.settings()


def unfit(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.why for finding in findings if not finding.fit}


def with_objects(settings: Settings, objects: ObjectSettings) -> Settings:
    return settings.model_copy(update={"objects": objects})


def test_an_installation_with_real_servers_is_fit_but_for_the_disk_that_tests_do_not_wait_for(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSR_CONFIG", str(installation.config))

    done = CliRunner().invoke(main, ["doctor", "--json"])

    answer = json.loads(done.output)
    assert answer["ok"] is False
    assert done.exit_code == 1
    assert {part["part"] for part in answer["parts"]} == set(PROBES)
    assert all(set(part) == {"part", "check", "fit", "why"} for part in answer["parts"])
    assert [part["check"] for part in answer["parts"] if not part["fit"]] == [_NO_DISK]
    assert [part["fit"] for part in answer["parts"] if part["part"] == "objects"] == [True] * 8  # RADOS Gateway


def test_a_fit_part_alone_ends_well_and_in_plain_words(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSR_CONFIG", str(installation.config))

    done = CliRunner().invoke(main, ["doctor", "--part", "keys", "--part", "scans"])

    assert done.exit_code == 0
    assert "refuses a wrong context: refused" in done.output
    assert done.output.endswith("all fit\n")


def test_missing_settings_are_wrong_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DSR_CONFIG", str(tmp_path / "missing.toml"))

    assert CliRunner().invoke(main, ["doctor", "--json"]).exit_code == 2


def test_no_finding_shows_a_secret(settings: Settings) -> None:
    secrets = {file.read_text().strip() for _, file in secret_files(settings) if file.exists()}

    shown = json.dumps([finding.to_json() for finding in examine(settings, ("secrets", "database", "keys"))])

    assert len(secrets) > 10
    assert not any(secret in shown for secret in secrets)


# --- object store


def test_moto_is_unfit_and_it_is_said_why(settings: Settings) -> None:
    with moto_server.moto_server() as server:
        objects = server.settings()
        Objects(objects).prepare()
        found = unfit(examine(with_objects(settings, objects), ("objects",)))

    assert found["is no stand-in"].startswith("it is moto, a stand-in for tests: anybody who reaches it can read")
    assert found["presigned links expire"].startswith("a fresh link does not open")
    assert found["Object Lock refuses shortening"].startswith("compliance retention was shortened")
    assert "refuses a wrong secret" not in found


def test_what_the_doctor_says_of_moto_is_true() -> None:
    with moto_server.moto_server() as server:
        objects = server.settings()
        store = Objects(objects)
        store.prepare()
        store.put("kept", b"sealed")
        stranger = httpx.post(f"{server.endpoint}/moto-api/reset")

        assert stranger.is_success
        with pytest.raises(VaultError):
            store.get("kept")


def test_a_log_bucket_without_a_lock_is_unfit(settings: Settings) -> None:
    objects = settings.objects.model_copy(update={"log_bucket": settings.objects.bucket})

    found = unfit(examine(with_objects(settings, objects), ("objects",)))

    assert "the log's bucket is under Object Lock" in found
    assert "Object Lock refuses deletion" in found


def test_a_link_that_outlives_its_end_is_unfit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    hurried = SimpleNamespace(sleep=lambda _seconds: None, monotonic=time.monotonic)
    monkeypatch.setattr(objects_probe, "time", hurried)  # looks at the link while it still lives
    monkeypatch.setattr(objects_probe, "_LINK_SECONDS", 60)

    found = unfit(examine(settings, ("objects",)))

    assert found == {
        "presigned links expire": "a link still opens after its end; never hand out links of this object store"
    }


def test_the_object_stores_probe_tidies_up(settings: Settings, installation: Installation) -> None:
    def probes() -> list[str]:
        with installation.office("operator") as parts:
            return [*parts.objects.list("doctor/"), *parts.objects.list_locked("doctor/")]

    before = probes()
    examine(settings, ("objects",))

    assert probes() == before


# --- key service


class Lax(LocalKeyService):
    """A key service that refuses nothing."""

    __slots__ = ()

    def unwrap(self, kind: str, ref: str, wrapped: bytes) -> bytes:
        return bytes(32) if ref.endswith("1") else super().unwrap(kind, ref, wrapped)

    def wrap(self, kind: str, ref: str, key: bytes) -> bytes:
        return bytes(40) if kind == "record" else super().wrap(kind, ref, key)

    def status(self) -> Any:
        return LocalKeyService(self._socket, Lax.good).status()

    good = ""


def test_a_key_service_that_refuses_nothing_is_unfit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lax, "good", settings.keys.token_files["operator"].read_text().strip())
    monkeypatch.setattr(keys_probe, "LocalKeyService", Lax)

    assert list(unfit(examine(settings, ("keys",)))) == [
        "refuses a stranger's token",
        "refuses a wrong context",
        "refuses a verb that is not the office's",
    ]


def test_without_a_readable_token_the_keys_can_not_be_judged(settings: Settings, tmp_path: Path) -> None:
    keys = settings.keys.model_copy(update={"token_files": {"operator": tmp_path / "none"}})

    found = unfit(examine(settings.model_copy(update={"keys": keys}), ("keys",)))

    assert list(found) == ["answers an office", "whoever checks the log knows who signs it"]


def test_a_part_that_is_away_is_unfit_and_the_others_are_still_tried(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    away = settings.model_copy(
        update={
            "database": settings.database.model_copy(update={"port": port}),
            "objects": settings.objects.model_copy(update={"endpoint": f"http://127.0.0.1:{port}"}),
            "keys": settings.keys.model_copy(update={"socket": tmp_path / "none"}),
            "mailbox": settings.mailbox.model_copy(update={"port": port}),
            "smtp": settings.smtp.model_copy(update={"port": port}),
        }
    )

    findings = examine(away, ("database", "objects", "keys", "mailbox", "smtp"))

    assert [(finding.part, finding.fit) for finding in findings] == [
        ("database", False),
        ("objects", False),
        ("keys", False),
        ("keys", False),  # what its signers are can't be told either
        ("mailbox", False),
        ("smtp", False),
    ]
