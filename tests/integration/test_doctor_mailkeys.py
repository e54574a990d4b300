"""`dsr doctor` on our mail keys: what opens is tried by opening, and what is unfit is said before mail is lost."""

from collections.abc import Iterator

import pytest

from vault.cli.probes import mailkeys
from vault.settings import Settings
from vault.testing.mailkeyhouse import ADDRESS, MailKeyHouse, make, make_aged, rotate
from vault.testing.mailworld import short_directory

OPENS, PRIVATE, LASTS = "openpgp opens what is encrypted to it", "openpgp.home is private", "openpgp will for 60 days"
SMIME_OPENS, SMIME_LASTS = "smime opens what is encrypted to it", "smime will for 60 days"
NAMES = "smime.certificate_file names the mailbox"


@pytest.fixture(scope="module")
def house() -> Iterator[MailKeyHouse]:
    with short_directory() as folder:
        make(folder / "k")
        yield MailKeyHouse(folder)


def unfit(settings: Settings) -> dict[str, str]:
    return {found.check: found.why for found in mailkeys.probe(settings) if not found.fit}


def test_fresh_keys_are_fit_and_a_trial_certificate_is_called_one(house: MailKeyHouse) -> None:
    found = list(mailkeys.probe(house.settings()))

    assert [finding.check for finding in found] == [OPENS, PRIVATE, LASTS, SMIME_OPENS, NAMES, SMIME_LASTS]
    assert all(finding.fit for finding in found)
    assert "self-signed" in found[3].why


def test_what_would_lose_mail_is_unfit(house: MailKeyHouse, request: pytest.FixtureRequest) -> None:
    other = {"mailbox": {"address": "other@clinic.example"}}
    wrong = {"passphrase_file": house.folder / "other"}
    (house.folder / "other").write_text("this is another passphrase")
    (house.directory / "gnupg").chmod(0o750)
    request.addfinalizer(lambda: (house.directory / "gnupg").chmod(0o700))

    assert set(unfit(house.settings(**other))) == {PRIVATE, NAMES}
    assert set(unfit(house.settings(openpgp={"fingerprint": "0" * 40}))) == {OPENS}
    assert set(unfit(house.settings(smime=wrong))) == {PRIVATE, SMIME_OPENS}


def test_keys_that_end_soon_are_unfit(house: MailKeyHouse) -> None:
    old = MailKeyHouse(house.folder / "o")
    make_aged(old.directory, 700)

    said = unfit(old.settings())

    assert set(said) == {LASTS, SMIME_LASTS}
    assert all("dsr keys mail rotate" in why for why in said.values())


def test_after_a_rotation_the_settings_that_were_printed_are_fit(house: MailKeyHouse) -> None:
    old = MailKeyHouse(house.folder / "r")
    make_aged(old.directory, 700)
    before = old.settings()

    rotate(old.directory)

    assert unfit(old.settings()) == {}
    assert [pair.key_file.name for pair in old.settings().smime.older] == ["smime-1.key"]
    assert set(unfit(before)) == {SMIME_LASTS}
    assert "name it in [smime]" in unfit(before)[SMIME_LASTS]


def test_what_is_not_on_this_machine_is_another_s(house: MailKeyHouse) -> None:
    settings = house.settings(openpgp={"home": "/nowhere"}, smime={"key_file": "/nowhere"})

    assert [finding.why for finding in mailkeys.probe(settings)] == ["not on this machine"] * 2
    assert settings.mailbox.address == ADDRESS
