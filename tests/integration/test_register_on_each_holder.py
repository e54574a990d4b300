"""The register stands on a token and on KMS as on a key file: filled, read, its roots rotated, the old one removed."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from vault.cli import main
from vault.office import open_office
from vault.settings import load
from vault.settings_keys import KmsSettings, Pkcs11Settings
from vault.storage.migrate import migrate
from vault.testing.custodyhouse import read, register_of, until
from vault.testing.fill import fill
from vault.testing.held_keys import HeldKeys, held_keys
from vault.testing.installation import CONTROLLER
from vault.testing.moto_kms import moto_kms
from vault.testing.patients import patients
from vault.testing.places import write_private
from vault.testing.postgres import postgres
from vault.testing.processes import Running
from vault.testing.softhsm import softhsm


@dataclass(frozen=True, slots=True)
class House:
    place: HeldKeys
    process: Running
    custody: str
    database: Mapping[str, Any]
    first: Mapping[str, Any]  # the holder's table at first; its second root is already named or made

    def write(self, primary: int) -> None:
        table = "kms" if self.custody == "aws-kms" else self.custody
        holder = {"custody": self.custody, table: {**self.first, "primary": primary}}
        unused = str(write_private(self.place.home / "unused", "no server takes this secret"))
        self.place.write(
            holder,
            controller=CONTROLLER,
            database=self.database,
            objects={"endpoint": "http://127.0.0.1:9", "access_key_file": unused, "secret_key_file": unused},
            log={"public_key_file": str(self.place.files.public("log"))},
        )

    def hup(self) -> None:
        reloads = [line["verb"] for line in self.place.audit()].count("reload")
        os.kill(self.process.pid, signal.SIGHUP)
        until(lambda: [line["verb"] for line in self.place.audit()].count("reload") > reloads)

    def dsr(self, *words: str) -> dict[str, Any]:
        done = CliRunner(env={"DSR_CONFIG": str(self.place.config)}).invoke(main, ["keys", *words, "--json"])
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@pytest.fixture(params=["aws-kms", "pkcs11"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    custody: str = request.param
    with ExitStack() as stack:
        place, server = stack.enter_context(held_keys()), stack.enter_context(postgres())
        named = holder_settings(stack, custody)
        database = server.create_vault("dsr_vault")
        told = database.model_dump(mode="json")
        unstarted = House(place, Running(0, 0), custody, told, named.model_dump(mode="json"))
        unstarted.write(primary=1)
        assert unstarted.dsr("init", str(place.files.path), "--custody", custody)["ok"]
        migrate(database)
        yield House(place, stack.enter_context(place.serving()), custody, told, unstarted.first)


def holder_settings(stack: ExitStack, custody: str) -> KmsSettings | Pkcs11Settings:
    return stack.enter_context(moto_kms()) if custody == "aws-kms" else stack.enter_context(softhsm()).settings


def test_a_register_is_filled_read_and_rotated(house: House) -> None:
    people = list(patients(3, 3))
    settings = load(house.place.config)

    def all_read() -> list[int]:
        with open_office("collector", settings) as parts:
            return [len(read(parts, patient.subject)) for patient in people]

    with open_office("registry", settings) as parts:
        fill(register_of(parts), people)
    expected = [len(patient.records) + 2 for patient in people]
    assert all_read() == expected

    assert house.dsr("root", "add")["held"] == [1, 2]
    house.hup()
    assert house.dsr("root", "promote", "2")["ok"]
    assert house.dsr("root", "remove", "1")["error"] == "root_is_primary"
    house.write(primary=2)
    house.hup()
    assert house.dsr("root", "remove", "1")["error"] == "root_in_use"
    assert house.dsr("rewrap")["rewrapped"] > len(people)
    assert {(row["custody"], row["root"]) for row in house.dsr("list")["keys"]} == {(house.custody, 2)}
    assert house.dsr("root", "remove", "1")["ok"]
    house.hup()

    assert all_read() == expected
    status = house.dsr("status")
    assert (status["custody"], status["primary"]) == (house.custody, 2)
