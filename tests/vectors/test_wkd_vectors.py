"""A Web Key Directory's names are the draft's own example and what GnuPG's client computes."""

import subprocess

import pytest

from vault.errors import WrongUseError
from vault.intake.wkd import wkd_files, wkd_hash, wkd_urls

CLIENT = "/usr/lib/gnupg/gpg-wks-client"


def test_the_example_of_the_draft() -> None:
    # draft-koch-openpgp-webkey-service-19, sections 3.1 and 3.2
    name = "iy9q119eutrkn8s1mk4r39qejnbu3n5q"
    advanced = f"https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/{name}?l=Joe.Doe"
    direct = f"https://example.org/.well-known/openpgpkey/hu/{name}?l=Joe.Doe"

    assert wkd_hash("Joe.Doe") == name
    assert wkd_urls("Joe.Doe@Example.ORG") == (advanced, direct)


@pytest.mark.parametrize(
    "address", ["requests@clinic.example", "Tietosuoja+dsr@klinikka.example", "a@b.example", "o'x_1%y@sub.dom.example"]
)
def test_gnupg_computes_the_same(address: str) -> None:
    told = subprocess.run([CLIENT, "--print-wkd-url", address], capture_output=True, text=True, check=True).stdout

    assert wkd_urls(address)[0].partition("?")[0] == told.strip().partition("?")[0]


def test_both_methods_and_a_policy() -> None:
    files = wkd_files("joe.doe@example.org", b"key")

    assert files == {
        "openpgpkey.example.org/.well-known/openpgpkey/example.org/policy": b"",
        "openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q": b"key",
        "example.org/.well-known/openpgpkey/policy": b"",
        "example.org/.well-known/openpgpkey/hu/iy9q119eutrkn8s1mk4r39qejnbu3n5q": b"key",
    }


@pytest.mark.parametrize(
    "address",
    [
        "",
        "joe",
        "joe@",
        "@x.example",
        "a@b@c.example",
        "a b@c.example",
        "<a@c.example>",
        "a@../x",
        "a@c",
        "ä@c.example",
    ],
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    with pytest.raises(WrongUseError):
        wkd_files(address, b"key")
