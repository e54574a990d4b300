"""Who asks, how often, may they; and no answer without its audit line."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vault.crypto.audit import Audit
from vault.crypto.auditlines import AuditPage, parse_lines, parse_page
from vault.crypto.boxes import seal_key
from vault.crypto.custody import Custody, make_keys
from vault.crypto.frames import PROTOCOL, Message, read_bytes, write_bytes
from vault.crypto.ledger import Ledger
from vault.crypto.policy import NAMES, POLICY, RATES, Limiter, Rate, Use
from vault.crypto.warden import Books, Warden
from vault.domain.roles import OfficeName
from vault.errors import NotAllowedError, OutOfReachError, RefusedError, UnknownFormatError, WrongUseError

CUSTODY = Custody(make_keys())
TOKENS = {office: f"token-of-the-{office.value}" for office in OfficeName}
KEY = bytes(range(32))


class House:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.audit = Audit(path)
        rates = {**RATES, Use(OfficeName.PRINT, "unseal"): Rate(per_second=0.001, burst=2)}
        self.ledger = Ledger(path.with_name("destroyed.jsonl"))
        self.books = Books(self.audit, self.ledger)
        self.warden = Warden("local", CUSTODY, TOKENS, self.books, Limiter(rates))

    def ask(
        self, office: OfficeName, verb: str, name: str = "", ref: str = "", data: bytes = b"", *, use: str = ""
    ) -> Message:
        request = {"verb": verb, "name": name, "ref": ref, "data": write_bytes(data), "use": use}
        return self.warden.answer(office, request)

    def lines(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "audit.jsonl")
    yield made
    made.audit.close()
    made.ledger.close()


def request_for(verb: str, name: str) -> tuple[str, bytes]:
    match verb:
        case "wrap":
            return "S-1", KEY
        case "destroy":
            return "S-gone", b""
        case "unwrap_tagged":
            return "S-1/2026", CUSTODY.wrap(name, "S-1/2026", KEY)
        case "unwrap" | "rotate":
            return "S-1", CUSTODY.wrap(name, "S-1", KEY)
        case "unseal":
            return "S-1", seal_key(CUSTODY.public(name), "S-1", KEY)
    return ("0" if verb == "audit" else "", b"data" if verb in {"mac", "sign"} else b"")


@pytest.mark.parametrize("office", OfficeName)
def test_token_admits_its_office(house: House, office: OfficeName) -> None:
    assert house.warden.admit({"hello": PROTOCOL, "token": TOKENS[office]}) is office
    assert [(line["office"], line["verb"], line["outcome"]) for line in house.lines()] == [(office, "hello", "granted")]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"hello": PROTOCOL, "token": "token-of-the-baker"}, NotAllowedError),
        ({"hello": PROTOCOL, "token": ""}, NotAllowedError),
        ({"hello": PROTOCOL, "token": "\ud800"}, NotAllowedError),
        ({"hello": PROTOCOL, "token": TOKENS[OfficeName.DESK] + " "}, NotAllowedError),
        ({"hello": PROTOCOL, "token": True}, RefusedError),
        ({"hello": PROTOCOL}, RefusedError),
        ({}, RefusedError),
        ({"hello": PROTOCOL, "token": TOKENS[OfficeName.DESK], "office": "audit"}, RefusedError),
        ({"hello": "dsr-vault/keys/1", "token": TOKENS[OfficeName.DESK]}, UnknownFormatError),
        ({"verb": "public", "name": "case", "ref": "", "data": ""}, RefusedError),
    ],
    ids=str,
)
def test_other_hellos_are_refused(house: House, message: dict[str, object], error: type[RefusedError]) -> None:
    with pytest.raises(error):
        house.warden.admit(message)


def test_equal_tokens_are_refused(house: House) -> None:
    equal = {OfficeName.DESK: "one token", OfficeName.AUDIT: "one token"}
    with pytest.raises(WrongUseError, match="key_tokens_equal"):
        Warden("local", CUSTODY, equal, house.books, Limiter())


@pytest.mark.parametrize("office", OfficeName)
def test_every_right_of_the_table_works_and_every_other_is_refused(house: House, office: OfficeName) -> None:
    for verb, names in NAMES.items():
        for name in names:
            granted = "value" in house.ask(office, verb, name, *request_for(verb, name))

            assert granted == ((verb, name) in POLICY[office])
            assert house.lines()[-1]["outcome"] == ("granted" if granted else "key_use_refused")


def test_values_are_those_of_the_custody(house: House) -> None:
    reply = house.ask(OfficeName.COLLECTOR, "unwrap", "record", "S-1", CUSTODY.wrap("record", "S-1", KEY))
    mac = house.ask(OfficeName.COLLECTOR, "mac", "subject", data=b"131052-308T")

    assert reply == {"value": write_bytes(KEY)}
    assert mac == {"value": write_bytes(CUSTODY.mac("subject", b"131052-308T"))}


def test_a_log_key_comes_with_its_owner_s_tag(house: House) -> None:
    wrapped = CUSTODY.wrap("log", "S-1/2026", KEY)

    reply = house.ask(OfficeName.PRINT, "unwrap_tagged", "log", "S-1/2026", wrapped)

    assert read_bytes(str(reply["value"])) == KEY + CUSTODY.mac("log-tag", b"S-1")
    assert [line["ref"] for line in house.lines() if line["verb"] == "unwrap_tagged"] == ["S-1/2026"]


@pytest.mark.parametrize("ref", ["S-1", "/2026", "S-1/", "S-1/now"])
def test_a_log_key_without_owner_or_year_has_no_tag(house: House, ref: str) -> None:
    reply = house.ask(OfficeName.PRINT, "unwrap_tagged", "log", ref, CUSTODY.wrap("log", ref, KEY))

    assert reply["error"] == "ref_malformed"


def test_audit_names_the_reference_and_nothing_secret(house: House) -> None:
    house.ask(OfficeName.REGISTRY, "wrap", "record", "S-1", KEY)
    house.ask(OfficeName.REGISTRY, "mac", "subject", data=b"131052-308T")

    text = house.path.read_text()
    assert [(line["verb"], line["name"], line["ref"]) for line in house.lines()] == [
        ("wrap", "record", "S-1"),
        ("mac", "subject", ""),
    ]
    assert "131052" not in text
    assert write_bytes(KEY)[:20] not in text
    assert KEY.hex() not in text


def pages(house: House, start: int = 0) -> list[AuditPage]:
    found = [AuditPage(b"", start)]
    while len(found) == 1 or found[-1].lines:
        value = read_bytes(str(house.ask(OfficeName.KEEPER, "audit", ref=str(found[-1].end))["value"]))
        found.append(parse_page(value))
        if found[-1].last:
            break
    return found[1:]


def test_audit_is_read_in_pages_of_whole_lines(house: House) -> None:
    for number in range(3000):
        house.ask(OfficeName.INTAKE, "status", ref=f"{number:04}")
    before = house.path.read_bytes()

    found = pages(house)

    assert b"".join(page.lines for page in found).startswith(before)
    assert len(found) > 2
    assert all(page.lines.endswith(b"\n") and len(page.lines) <= 256 * 1024 for page in found)
    assert [line["verb"] for line in house.lines()[3000:]] == ["audit"] * len(found)


def test_a_page_goes_on_where_the_last_one_ended(house: House) -> None:
    house.ask(OfficeName.INTAKE, "status")
    end = pages(house)[-1].end
    house.ask(OfficeName.INTAKE, "status", ref="later")

    (page,) = pages(house, end)

    assert [line.verb for _, line in parse_lines(page.lines) if line] == ["audit", "status"]


@pytest.mark.parametrize("place", ["1", "100000", "-1", "01", "", "x", "9" * 30])
def test_no_page_begins_inside_or_behind_the_lines(house: House, place: str) -> None:
    house.ask(OfficeName.INTAKE, "status")

    reply = house.ask(OfficeName.KEEPER, "audit", ref=place)

    assert reply["error"] in ("key_audit_cut", "audit_position")


def test_a_line_that_is_being_written_is_not_shown(house: House) -> None:
    house.ask(OfficeName.INTAKE, "status")
    whole = house.path.stat().st_size
    with house.path.open("ab") as file:
        file.write(b'{"at": "2026')

    assert house.audit.page(0).end == whole


USE = "0123456789abcdef" * 2


@pytest.mark.parametrize("use", ["", "write", USE])
def test_the_use_stands_in_the_audit_line(house: House, use: str) -> None:
    house.ask(OfficeName.COLLECTOR, "unwrap", "record", "S-1", CUSTODY.wrap("record", "S-1", KEY), use=use)
    house.ask(OfficeName.DESK, "unwrap", "record", "S-1", CUSTODY.wrap("record", "S-1", KEY), use=use)

    assert [(line["use"], line["outcome"]) for line in house.lines()] == [(use, "granted"), (use, "key_use_refused")]


@pytest.mark.parametrize("use", ["read", USE[:-1], USE.upper(), f"{USE}\n", "0" * 64])
def test_what_names_no_use_is_refused(house: House, use: str) -> None:
    reply = house.ask(OfficeName.COLLECTOR, "mac", "arrival", use=use)

    assert reply["error"] == "use_malformed"
    assert house.lines()[-1]["outcome"] == "use_malformed"


@pytest.mark.parametrize(
    ("verb", "name", "data", "refusal"),
    [
        ("unwrap", "record", b"\x01" + bytes(64), "TamperedError wrapped_key_tampered"),
        ("unwrap", "record", b"", "UnknownFormatError wrapped_key_format"),
        ("unseal", "case", b"\x01", "TamperedError sealed_key_tampered"),
        ("wrap", "log", b"short", "RefusedError key_malformed"),
        ("export", "root", b"", "NotAllowedError key_use_refused"),
        ("unwrap", "root", b"", "NotAllowedError key_use_refused"),
        ("_perform", "", b"", "NotAllowedError key_use_refused"),
    ],
)
def test_refusals_name_family_and_code(house: House, verb: str, name: str, data: bytes, refusal: str) -> None:
    reply = house.ask(OfficeName.COLLECTOR, verb, name, "S-1", data)

    assert f"{reply['family']} {reply['error']}" == refusal
    assert house.lines()[-1]["outcome"] == reply["error"]


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"verb": "public", "name": "case", "ref": "", "use": ""},
        {"verb": "public", "name": "case", "ref": "", "data": ""},
        {"verb": "public", "name": "case", "ref": "", "data": "", "use": "", "more": ""},
        {"verb": 1, "name": "case", "ref": "", "data": "", "use": ""},
        {"verb": "public", "name": "case", "ref": True, "data": "", "use": ""},
        {"verb": "public", "name": "case", "ref": "", "data": "A", "use": ""},
    ],
    ids=str,
)
def test_malformed_requests_are_refused_and_audited(house: House, message: dict[str, object]) -> None:
    reply = house.warden.answer(OfficeName.DESK, message)

    assert reply["error"] == "key_request_malformed"
    assert house.lines()[-1]["outcome"] == "key_request_malformed"


def test_used_up_rate_tells_how_long_to_wait(house: House) -> None:
    sealed = seal_key(CUSTODY.public("print"), "L-1", KEY)
    replies = [house.ask(OfficeName.PRINT, "unseal", "print", "L-1", sealed) for _ in range(3)]

    assert ["value" in reply for reply in replies] == [True, True, False]
    assert replies[2]["error"] == "key_rate_reached"
    assert replies[2]["family"] == "LimitError"
    assert 900 < float(replies[2]["wait"]) <= 1000
    assert house.lines()[-1]["outcome"] == "key_rate_reached"


def test_refusals_use_up_the_rate_too(house: House) -> None:
    for _ in range(2):
        house.ask(OfficeName.PRINT, "unseal", "case", "L-1")

    assert house.ask(OfficeName.PRINT, "unseal", "case", "L-1")["error"] == "key_rate_reached"


def test_no_audit_line_no_answer(house: House) -> None:
    house.path.unlink()

    with pytest.raises(OutOfReachError, match="key_audit_unwritable"):
        house.ask(OfficeName.DESK, "public", "case")
    with pytest.raises(OutOfReachError, match="key_audit_unwritable"):
        house.warden.admit({"hello": PROTOCOL, "token": TOKENS[OfficeName.DESK]})


def test_status_counts(house: House) -> None:
    house.ask(OfficeName.DESK, "public", "case")
    house.ask(OfficeName.DESK, "unseal", "print")

    status = json.loads(read_bytes(str(house.ask(OfficeName.OPERATOR, "status")["value"])))

    assert (status["office"], status["granted"], status["refused"]) == ("operator", 1, 1)


def test_destroyed_key_is_refused_to_everybody_and_noted_before_the_answer(house: House) -> None:
    wrapped = CUSTODY.wrap("record", "S-1", KEY)

    answers = [house.ask(OfficeName.KEEPER, "destroy", "record", "S-1") for _ in range(2)]

    assert answers == [{"value": ""}, {"value": ""}]
    assert house.path.with_name("destroyed.jsonl").read_text() == '{"kind": "record", "ref": "S-1"}\n'
    assert house.ask(OfficeName.COLLECTOR, "unwrap", "record", "S-1", wrapped)["error"] == "key_destroyed"
    assert house.ask(OfficeName.REGISTRY, "wrap", "record", "S-1", KEY)["error"] == "key_destroyed"
    refusal = house.ask(OfficeName.KEEPER, "rotate", "record", "S-1", wrapped)
    assert (refusal["error"], refusal["family"]) == ("key_destroyed", "KeyMissingError")
    assert house.ask(OfficeName.COLLECTOR, "unwrap", "identity", "S-1", CUSTODY.wrap("identity", "S-1", KEY)) == {
        "value": write_bytes(KEY)
    }
    assert [(line["verb"], line["outcome"]) for line in house.lines()[:3]] == [
        ("destroy", "granted"),
        ("destroy", "granted"),
        ("unwrap", "key_destroyed"),
    ]


def test_key_is_not_destroyed_where_the_ledger_can_not_be_written(house: House) -> None:
    house.path.with_name("destroyed.jsonl").unlink()

    refusal = house.ask(OfficeName.KEEPER, "destroy", "record", "S-1")

    assert (refusal["error"], refusal["family"]) == ("key_ledger_unwritable", "OutOfReachError")
    assert house.lines()[-1]["outcome"] == "key_ledger_unwritable"
    assert "value" in house.ask(OfficeName.REGISTRY, "wrap", "record", "S-1", KEY)


def test_destroying_is_slow(house: House) -> None:
    replies = [house.ask(OfficeName.KEEPER, "destroy", "log", f"S-{number}") for number in range(60)]

    assert sum("value" in reply for reply in replies) < 60
    assert replies[-1]["error"] == "key_rate_reached"


def test_rotation_gives_the_key_anew_and_never_in_the_clear(house: House) -> None:
    keys = make_keys()
    roots = {**keys.roots, 2: bytes(32)}
    old = Custody(keys).wrap("identity", "S-1", KEY)
    warden = Warden("local", Custody(replace(keys, primary=2, roots=roots)), TOKENS, house.books, Limiter())

    reply = warden.answer(
        OfficeName.KEEPER, {"verb": "rotate", "name": "identity", "ref": "S-1", "data": write_bytes(old), "use": ""}
    )

    rotated = read_bytes(str(reply["value"]))
    assert rotated[:5] == b"\x01\x00\x00\x00\x02"
    assert KEY not in rotated
    assert (house.lines()[-1]["verb"], house.lines()[-1]["ref"]) == ("rotate", "S-1")


def test_status_names_custody_roots_and_how_many_were_destroyed(house: House) -> None:
    house.ask(OfficeName.KEEPER, "destroy", "record", "S-1")

    status = json.loads(read_bytes(str(house.ask(OfficeName.OPERATOR, "status")["value"])))

    assert (status["custody"], status["primary"], status["held"], status["destroyed"]) == ("local", 1, [1], 1)


def test_keys_of_another_installation_are_not_taken(house: House) -> None:
    with pytest.raises(RefusedError, match="key_reload_foreign"):
        house.warden.take(Custody(make_keys()))

    assert house.ask(OfficeName.OPERATOR, "public", "case") == {"value": write_bytes(CUSTODY.public("case"))}
