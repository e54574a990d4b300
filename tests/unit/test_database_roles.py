"""The offices' rights as values, their roles' SQL and verifiers, and how both fit the key service's own table."""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vault.cli import main
from vault.crypto.keyservice import KINDS
from vault.crypto.policy import POLICY
from vault.domain.case import TRANSITIONS, Event, Stage
from vault.domain.roles import OfficeName
from vault.errors import WrongUseError
from vault.settings import DatabaseSettings, office_role
from vault.storage import rights
from vault.storage.grants import EVENTS, ROOMS
from vault.storage.moves import moves
from vault.storage.roles import role_sql, scram_verifier

KEY_KINDS = frozenset(KINDS)


def rows_of(office: OfficeName, table: str, verb: str) -> str:
    return "".join(right.rows for right in ROOMS[office].get(table, ()) if right.verb == verb)


def words_in(rows: str) -> frozenset[str]:
    """The kinds that a condition names; every kind where it names none."""
    return KEY_KINDS if rows in ("true", "(version = 1)") else frozenset(rows.split("'")[1::2])


@pytest.mark.parametrize("office", OfficeName)
def test_an_office_sees_no_wrapped_key_that_it_may_not_use(office: OfficeName) -> None:
    usable = {name for verb, name in POLICY[office] if verb in ("unwrap", "rotate")}

    assert words_in(rows_of(office, "wrapped_keys", "select")) <= usable


@pytest.mark.parametrize("office", OfficeName)
def test_an_office_that_makes_keys_may_store_them(office: OfficeName) -> None:
    assert words_in(rows_of(office, "wrapped_keys", "insert")) <= KEY_KINDS
    assert {name for verb, name in POLICY[office] if verb == "wrap"} >= words_in(
        rows_of(office, "wrapped_keys", "insert")
    )


@pytest.mark.parametrize("office", set(OfficeName) - {OfficeName.KEEPER}, ids=str)
def test_an_office_sees_no_box_that_it_may_not_open(office: OfficeName) -> None:
    assert words_in(rows_of(office, "sealed_keys", "select")) <= {
        name for verb, name in POLICY[office] if verb == "unseal"
    }


def test_the_desk_has_no_room_in_the_register() -> None:
    assert not {"records", "subjects"} & set(ROOMS[OfficeName.DESK])
    assert words_in(rows_of(OfficeName.DESK, "wrapped_keys", "select")) == {"log"}


def test_every_event_has_an_office_that_may_say_it() -> None:
    assert {event for events in EVENTS.values() for event in events} == set(Event)


def test_every_move_of_a_case_has_an_office() -> None:
    made = {(before, after) for _, before, after in moves()}

    assert made == {(before, after) for (before, _), after in TRANSITIONS.items() if before is not after}
    assert (OfficeName.DESK, Stage.DRAFTED, Stage.DECIDED) in moves()
    assert [office for office, _, after in moves() if after == Stage.SEALED] == [OfficeName.SEALER]


@pytest.mark.parametrize("word", ["it's", "a b", "", "Ä", 'a"b', "a;b", "A"])
def test_a_condition_holds_plain_words_only(word: str) -> None:
    for condition in (rights.one_of, rights.begins):
        with pytest.raises(ValueError, match="no plain word"):
            condition("kind", word)
        with pytest.raises(ValueError, match="no plain word"):
            condition(word, "kind")


def test_a_beginning_holds_no_letter_that_stands_for_others() -> None:
    for start in ("a_b", "a%"):
        with pytest.raises(ValueError, match="no plain word"):
            rights.begins("name", start)


def test_a_verifier_is_the_one_of_rfc_7677() -> None:
    """Its example: the server's signature over the example's messages comes from our verifier's server key."""
    verifier = scram_verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    said = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}"
    stored, server = (base64.b64decode(part) for part in verifier.rpartition("$")[2].split(":"))

    assert verifier.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    assert (
        base64.b64encode(hmac.digest(server, said.encode(), "sha256"))
        == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(stored, said.encode(), "sha256")
    client = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client).digest() == stored


def test_two_verifiers_of_one_password_differ() -> None:
    assert scram_verifier("a-long-password") != scram_verifier("a-long-password")


@pytest.mark.parametrize("password", ["päässana-pitkä", "line\nbreak-long"])
def test_a_password_is_plain_ascii(password: str) -> None:
    with pytest.raises(WrongUseError, match="password_characters") as refused:
        scram_verifier(password)
    assert password not in str(refused.value)


@pytest.mark.parametrize("role", ['a"b', "a'b", "a b", "a;b", ""])
def test_a_role_has_a_plain_name(role: str) -> None:
    with pytest.raises(WrongUseError, match="role_name"):
        role_sql({role: "SCRAM"})


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """The settings that infra/compose ships, with secrets that lie here."""
    text = (Path(__file__).parents[2] / "infra/compose/dsr.toml").read_text(encoding="utf-8")
    for office in OfficeName:
        secret = tmp_path / f"database_{office.value}_password"
        secret.write_text(f"drawn-for-{office.value}-0123456789")
        secret.chmod(0o600)
    file = tmp_path / "dsr.toml"
    file.write_text(text.replace("/run/secrets/", f"{tmp_path}/"))
    return file


def test_the_administrators_sql_names_every_role_and_shows_no_password(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSR_CONFIG", str(settings_file))

    plain = CliRunner().invoke(main, ["database", "roles"])
    told = json.loads(CliRunner().invoke(main, ["database", "roles", "--json"]).output)
    one = json.loads(CliRunner().invoke(main, ["database", "roles", "--office", "print", "--json"]).output)

    assert plain.exit_code == 0
    assert told["roles"] == sorted(office_role("dsr_vault", office) for office in OfficeName)
    assert one["roles"] == ["dsr_vault_print"]
    assert plain.output.count("password 'SCRAM-SHA-256$") == len(OfficeName)
    assert "drawn-for" not in plain.output + told["sql"]


def test_an_office_without_a_password_here_is_refused_and_named() -> None:
    settings = DatabaseSettings(
        host="db", user="dsr_vault", password_file=Path("/x"), password_files={"desk": Path("/y")}
    )

    assert (settings.for_office("desk").user, settings.for_office("desk").password_file) == (
        "dsr_vault_desk",
        Path("/y"),
    )
    with pytest.raises(WrongUseError, match="no_database_password"):
        settings.for_office("sealer")


def test_an_office_does_not_look_at_the_owners_password_or_another_offices() -> None:
    settings = DatabaseSettings(host="db", user="o", password_file=Path("/x"), password_files={"desk": Path("/y")})

    mine = settings.for_office("desk")

    assert Path("/x") not in (mine.password_file, *mine.password_files.values())
    assert mine.password_files == {}
