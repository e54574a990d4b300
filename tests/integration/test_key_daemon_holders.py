"""The real daemon before each holder: offices, audit and ledger are the same, whatever holds the root keys."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.accesslog.notes import Checkpoint, open_checkpoint, parse_note, parse_vkeys
from vault.accesslog.publish import sign_checkpoint
from vault.cli import keys_held, main
from vault.crypto.boxes import seal_key
from vault.crypto.holder import Roots
from vault.crypto.keydir import init, read_public
from vault.crypto.local import LocalKeyService
from vault.crypto.signers import held
from vault.domain.roles import OfficeName
from vault.errors import KeyMissingError, NotAllowedError, OutOfReachError, RefusedError, TamperedError, VaultError
from vault.testing.held_keys import HeldKeys, held_keys
from vault.testing.moto_kms import moto_kms
from vault.testing.processes import Running, wait_until
from vault.testing.softhsm import SoftHsm, softhsm

KEY = bytes(range(32))
ORIGIN = "log.example/dsr-test"


def made(place: HeldKeys, custody: str) -> list[str]:
    words = ["keys", "init", str(place.files.path), "--origin", ORIGIN, "--custody", custody, "--json"]
    done = CliRunner(env={"DSR_CONFIG": str(place.config)}).invoke(main, words)
    assert done.exit_code == 0, done.output
    return [str(name) for name in json.loads(done.output)["made"]]


def local(_stack: ExitStack, place: HeldKeys) -> None:
    files = place.files
    place.write({"key_file": str(files.key_file), "passphrase_file": str(files.passphrase_file)})
    init(files.path, ORIGIN)


def kms(stack: ExitStack, place: HeldKeys) -> None:
    table = stack.enter_context(moto_kms()).model_dump(mode="json")
    place.write({"custody": "aws-kms", "kms": table})
    assert made(place, "aws-kms")[0] == "bundle"


def pkcs11(stack: ExitStack, place: HeldKeys) -> SoftHsm:
    hsm = stack.enter_context(softhsm())
    place.write({"custody": "pkcs11", "pkcs11": hsm.settings.model_dump(mode="json")})
    assert made(place, "pkcs11")[0] == "dsr-root-1"
    return hsm


HOLDERS: dict[str, tuple[Callable[[ExitStack, HeldKeys], object], str]] = {
    "local": (local, "local"),
    "kms": (kms, "aws-kms"),
    "pkcs11": (pkcs11, "pkcs11"),
}


@pytest.fixture(params=HOLDERS)
def place(request: pytest.FixtureRequest) -> Iterator[HeldKeys]:
    make, _custody = HOLDERS[request.param]
    with ExitStack() as stack:
        found = stack.enter_context(held_keys())
        make(stack, found)
        yield found


def refused(act: Callable[[], object], kind: type[VaultError], code: str) -> None:
    with pytest.raises(kind, match=code):
        act()


def a_days_work(place: HeldKeys) -> None:
    """Use every verb, rightly and wrongly, as the offices do."""
    office: dict[str, LocalKeyService] = {name.value: place.client(name.value) for name in OfficeName}
    wrapped = office["registry"].wrap("record", "S-1", KEY)
    other = office["registry"].wrap("record", "S-2", KEY)
    sealed = seal_key(read_public(place.files.public("case")), "DSR-1", KEY)

    assert office["collector"].unwrap("record", "S-1", wrapped) == KEY
    assert office["collector"].unseal("case", "DSR-1", sealed) == KEY
    assert office["collector"].mac("subject", b"131052-308T") == office["registry"].mac("subject", b"131052-308T")
    signature = office["keeper"].sign("log", b"note")
    Ed25519PublicKey.from_public_bytes(office["operator"].public("log")).verify(signature, b"note")
    assert office["keeper"].rotate("record", "S-1", wrapped) == wrapped

    refused(lambda: office["desk"].unwrap("record", "S-1", wrapped), NotAllowedError, "key_use_refused")
    refused(lambda: office["collector"].unwrap("record", "S-2", wrapped), TamperedError, "wrapped_key_tampered")
    refused(lambda: office["collector"].unseal("case", "DSR-2", sealed), TamperedError, "sealed_key_tampered")

    office["keeper"].destroy("record", "S-2")
    refused(lambda: office["collector"].unwrap("record", "S-2", other), KeyMissingError, "key_destroyed")
    refused(lambda: office["registry"].wrap("record", "S-2", KEY), KeyMissingError, "key_destroyed")
    refused(lambda: office["keeper"].rotate("record", "S-2", other), KeyMissingError, "key_destroyed")


LEDGER = [{"kind": "record", "ref": "S-2"}]
WORK = [
    ("registry", "wrap", "record", "S-1", "granted"),
    ("registry", "wrap", "record", "S-2", "granted"),
    ("collector", "unwrap", "record", "S-1", "granted"),
    ("collector", "unseal", "case", "DSR-1", "granted"),
    ("collector", "mac", "subject", "", "granted"),
    ("registry", "mac", "subject", "", "granted"),
    ("keeper", "sign", "log", "", "granted"),
    ("operator", "public", "log", "", "granted"),
    ("keeper", "rotate", "record", "S-1", "granted"),
    ("desk", "unwrap", "record", "S-1", "key_use_refused"),
    ("collector", "unwrap", "record", "S-2", "wrapped_key_tampered"),
    ("collector", "unseal", "case", "DSR-2", "sealed_key_tampered"),
    ("keeper", "destroy", "record", "S-2", "granted"),
    ("collector", "unwrap", "record", "S-2", "key_destroyed"),
    ("registry", "wrap", "record", "S-2", "key_destroyed"),
    ("keeper", "rotate", "record", "S-2", "key_destroyed"),
]


def uses(place: HeldKeys) -> list[tuple[str, ...]]:
    lines = [line for line in place.audit() if line["verb"] not in ("hello", "start", "stop", "reload")]
    return [tuple(line[name] for name in ("office", "verb", "name", "ref", "outcome")) for line in lines]


def test_offices_audit_and_ledger_are_the_same_whatever_holds_the_roots(
    place: HeldKeys, request: pytest.FixtureRequest
) -> None:
    custody = HOLDERS[request.node.callspec.params["place"]][1]
    with place.serving():
        a_days_work(place)
        status = place.client("operator").status()
        assert uses(place)[: len(WORK)] == WORK

    assert (status.custody, status.destroyed) == (custody, 1)
    assert status.roots.primary == 1
    assert [{name: line[name] for name in ("kind", "ref")} for line in place.ledger()] == LEDGER
    with place.serving():  # what was destroyed stays so
        refused(lambda: place.client("registry").wrap("record", "S-2", KEY), KeyMissingError, "key_destroyed")
        for name in ("case", "print", "desk"):
            assert place.client("operator").public(name) == read_public(place.files.public(name))


# --- a token that goes, a root that comes


@pytest.fixture
def hsm() -> Iterator[tuple[HeldKeys, SoftHsm, Running]]:
    with ExitStack() as stack:
        found = stack.enter_context(held_keys())
        token = pkcs11(stack, found)
        yield found, token, stack.enter_context(found.serving())


def reloaded(place: HeldKeys, process: Running, roots: Roots) -> None:
    os.kill(process.pid, signal.SIGHUP)
    wait_until(lambda: place.client("operator").status().roots == roots, "the reload", process=process)


def test_a_daemon_outlives_its_token(hsm: tuple[HeldKeys, SoftHsm, Running]) -> None:
    place, token, process = hsm
    registry = place.client("registry")
    wrapped = registry.wrap("record", "S-1", KEY)

    token.take_away()
    refused(lambda: registry.unwrap("record", "S-1", wrapped), OutOfReachError, "token_away")
    os.kill(process.pid, signal.SIGHUP)  # a reload that fails changes nothing
    wait_until(lambda: "reload" in [line["verb"] for line in place.audit()], "the reload", process=process)
    refused(lambda: registry.unwrap("record", "S-1", wrapped), OutOfReachError, "token_away")
    token.bring_back()

    assert registry.unwrap("record", "S-1", wrapped) == KEY
    assert uses(place)[1][-1] == "token_away"


def dsr(place: HeldKeys, *words: str) -> dict[str, Any]:
    done = CliRunner(env={"DSR_CONFIG": str(place.config)}).invoke(main, ["keys", *words, "--json"])
    answer: dict[str, Any] = json.loads(done.output)
    return answer


def test_a_root_of_the_token_is_rotated_while_the_daemon_serves(hsm: tuple[HeldKeys, SoftHsm, Running]) -> None:
    place, token, process = hsm
    registry, keeper = place.client("registry"), place.client("keeper")
    wrapped = registry.wrap("record", "S-1", KEY)

    assert dsr(place, "root", "add")["held"] == [1, 2]
    assert dsr(place, "root", "promote")["error"] == "root_not_loaded"
    reloaded(place, process, Roots(1, (1, 2)))
    assert keeper.rotate("record", "S-1", wrapped) == wrapped
    assert dsr(place, "root", "promote", "2")["ok"]
    table = token.settings.model_copy(update={"primary": 2}).model_dump(mode="json")
    place.write({"custody": "pkcs11", "pkcs11": table})
    reloaded(place, process, Roots(2, (1, 2)))
    moved = keeper.rotate("record", "S-1", wrapped)
    assert moved[:5] == b"\x03\x00\x00\x00\x02"

    with pytest.raises(RefusedError, match=r"root_in_use: 3 wrapped keys"):
        keys_held.remove(place.settings, 1, None, left=3)
    assert keys_held.remove(place.settings, 1, place.client("operator").status(), left=0).data["held"] == [2]
    reloaded(place, process, Roots(2, (2,)))
    assert registry.unwrap("record", "S-1", moved) == KEY
    refused(lambda: registry.unwrap("record", "S-1", wrapped), TamperedError, "wrapped_key_tampered")


def test_a_root_of_kms_is_rotated_while_the_daemon_serves() -> None:
    with held_keys() as place, moto_kms() as named:
        table = named.model_dump(mode="json")
        alone = {**table, "roots": {1: table["roots"]["1"]}}
        place.write({"custody": "aws-kms", "kms": alone})
        made(place, "aws-kms")
        assert dsr(place, "root", "add")["error"] == "root_not_named"
        with place.serving() as process:
            wrapped = place.client("registry").wrap("record", "S-1", KEY)

            place.write({"custody": "aws-kms", "kms": table})
            assert dsr(place, "root", "add")["held"] == [1, 2]
            assert dsr(place, "root", "promote")["error"] == "root_not_loaded"
            reloaded(place, process, Roots(1, (1, 2)))
            assert dsr(place, "root", "promote")["ok"]
            place.write({"custody": "aws-kms", "kms": {**table, "primary": 2}})
            reloaded(place, process, Roots(2, (1, 2)))

            moved = place.client("keeper").rotate("record", "S-1", wrapped)
            assert moved[:5] == b"\x02\x00\x00\x00\x02"
            assert "schedule its key's deletion" in "".join(keys_held.remove(place.settings, 1, None, left=0).lines)
            assert place.client("registry").unwrap("record", "S-1", moved) == KEY


def test_init_makes_only_what_the_settings_mean() -> None:
    with held_keys() as place, softhsm() as token:
        place.write({"custody": "pkcs11", "pkcs11": token.settings.model_dump(mode="json")})
        words = ["keys", "init", str(place.files.path), "--custody", "aws-kms", "--json"]

        done = CliRunner(env={"DSR_CONFIG": str(place.config)}).invoke(main, words)

        assert (done.exit_code, json.loads(done.output)["error"]) == (2, "custody_mixed")
        assert made(place, "pkcs11")
        assert made(place, "pkcs11") == []
        assert not place.files.key_file.exists()
        assert not place.files.passphrase_file.exists()


def reloads(place: HeldKeys) -> list[dict[str, str]]:
    return [line for line in place.audit() if line["verb"] == "reload"]


def reload(place: HeldKeys, process: Running) -> None:
    """Have the daemon open its keys anew, and see that it did."""
    before = len(reloads(place))
    os.kill(process.pid, signal.SIGHUP)
    wait_until(lambda: len(reloads(place)) > before, "the reload", process=process)
    assert reloads(place)[-1]["outcome"] == "granted"


def promoted(place: HeldKeys, number: int) -> None:
    """Do what the settings' owner does for a holder whose primary stands there."""
    keys = place.settings.model_dump(mode="json", exclude_none=True)
    for table in ("kms", "pkcs11"):
        if table in keys:
            place.write({"custody": keys["custody"], table: {**keys[table], "log_signer": number}})


def test_the_log_s_key_is_exchanged_while_it_signs(place: HeldKeys) -> None:
    listed = place.files.public("log")
    first = listed.read_text()
    with place.serving() as process:
        keeper = place.client("keeper")
        assert held(keeper, "log") == ("log-1",)

        added = dsr(place, "signer", "add", "log", "--vkey-file", str(listed))
        early = dsr(place, "signer", "promote", "log", "2")
        assert (added["ok"], added["held"], early["error"]) == (True, [1, 2], "signer_not_loaded")
        assert listed.read_text() == f"{added['vkey']}\n{first}"
        assert dsr(place, "signer", "add", "log", "--vkey-file", str(listed))["vkey"] == added["vkey"]

        reload(place, process)
        assert held(keeper, "log") == ("log-1",)
        assert dsr(place, "signer", "promote", "log", "2")["ok"]
        promoted(place, 2)
        assert dsr(place, "signer", "retire", "log", "1")["error"] == "signer_is_primary"
        reload(place, process)

        keys = parse_vkeys(listed.read_text())
        assert held(keeper, "log") == ("log-2", "log-1")
        assert [keeper.public(name) for name in held(keeper, "log")] == [key.key for key in keys]
        note = sign_checkpoint(Checkpoint(ORIGIN, 7, bytes(32)), keeper)
        assert len(parse_note(note).signatures) == 2
        refused(lambda: place.client("desk").sign("log-2", b""), NotAllowedError, "key_use_refused")

        assert dsr(place, "signer", "retire", "log", "2")["error"] == "signer_is_primary"
        retired = dsr(place, "signer", "retire", "log", "1")
        assert (retired["ok"], retired["primary"], retired["held"]) == (True, 2, [2])
        assert dsr(place, "signer", "retire", "log", "1")["held"] == [2]
        reload(place, process)

        assert held(keeper, "log") == ("log-2",)
        refused(lambda: keeper.sign("log-1", b""), NotAllowedError, "key_name_unknown")
        newer = sign_checkpoint(Checkpoint(ORIGIN, 8, bytes(32)), keeper)
        assert open_checkpoint(newer, keys[:1]).size == 8
        assert open_checkpoint(note, keys).size == open_checkpoint(note, keys[1:]).size == 7
        with pytest.raises(TamperedError):
            open_checkpoint(newer, keys[1:])
    with place.serving():
        assert held(place.client("keeper"), "log") == ("log-2",)


def test_a_primary_that_is_not_held_stops_the_start(place: HeldKeys) -> None:
    if place.settings.custody == "local":
        sealed = place.files.key_file.read_bytes()
        assert dsr(place, "signer", "promote", "log", "2")["error"] == "signer_unknown"
        assert place.files.key_file.read_bytes() == sealed
        return
    promoted(place, 2)

    with pytest.raises(OutOfReachError), place.serving():
        pass

    assert "signer_unknown" in (place.home / "log").read_text()
