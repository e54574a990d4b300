"""The print outbox's seal: the print role opens it, its maker and the other offices do not."""

import dataclasses

import pytest

from vault.crypto.boxes import open_key
from vault.delivery.printing import SealedLetter, name_of, open_item, owner_of, seal_item
from vault.errors import TamperedError, VaultError
from vault.testing.keyservice import memory_service

REF = "DSR-2026-7K3QXM-code"
LETTER = b"%PDF letter to Eeva"


def test_the_print_role_opens_what_was_sealed() -> None:
    service = memory_service()
    item = seal_item(service.public("print"), REF, LETTER)
    key = service.unseal("print", item.owner, item.sealed_key)
    assert open_item(key, item) == LETTER
    assert (item.owner, item.name) == (owner_of(REF), name_of(REF, item.sealed_key))


def test_what_is_stored_shows_nothing() -> None:
    item = seal_item(memory_service().public("print"), REF, LETTER)
    assert b"Eeva" not in item.envelope + item.sealed_key + item.name.encode()


def test_another_box_and_another_service_do_not_open_it() -> None:
    service = memory_service()
    item = seal_item(service.public("print"), REF, LETTER)
    with pytest.raises(VaultError):
        service.unseal("case", item.owner, item.sealed_key)
    with pytest.raises(VaultError):
        memory_service().unseal("print", item.owner, item.sealed_key)
    with pytest.raises(TamperedError):
        open_key(bytes(31) + b"\x01", item.owner, item.sealed_key)


def test_a_letter_does_not_open_in_another_letters_place() -> None:
    service = memory_service()
    one, two = (seal_item(service.public("print"), ref, LETTER) for ref in (REF, f"{REF}-2"))
    key = service.unseal("print", one.owner, one.sealed_key)
    swapped: list[SealedLetter] = [
        dataclasses.replace(one, name=two.name),
        dataclasses.replace(one, owner=two.owner),
        dataclasses.replace(one, envelope=two.envelope),
        dataclasses.replace(one, envelope=one.envelope[:-1]),
    ]
    for item in swapped:
        with pytest.raises(TamperedError):
            open_item(key, item)


def test_sealing_twice_overwrites_nothing() -> None:
    public = memory_service().public("print")
    assert seal_item(public, REF, LETTER).name != seal_item(public, REF, LETTER).name
