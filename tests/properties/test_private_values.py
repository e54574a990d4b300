"""Whatever shows, logs, formats, pickles or copies a value of the product gives away nothing personal, and no secret.

The types are found by walking the package, so that a new one joins by itself: it is private, or it is
declared harmless here with a reason, or this fails.
"""

import contextlib
import copy
import dataclasses
import enum
import functools
import importlib
import inspect
import json
import logging
import pickle
import pkgutil
import pprint
import re
import reprlib
import subprocess
import sys
import textwrap
import tomllib
import traceback
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import structlog
from rich.pretty import pretty_repr

import vault
from vault.domain.private import Private
from vault.errors import WrongUseError
from vault.settings import DatabaseSettings, ObjectSettings
from vault.settings_keys import KeySettings
from vault.settings_parts import Part
from vault.testing.canaries import search

CANARIES: Final = {
    "name": "Qvyxzarniemi Öljymäki",
    "note": "zxqvkänkkaisenmurhe",
    "code": "310731-9QXW",
    "key": "kq7!vZx0#pWm9@Lr",
}
BORN = datetime(1917, 3, 29, 4, 51, 17, tzinfo=UTC)
NUMBER = 83_519_274
DATES: Final = {"born": "1917-03-29", "born_parts": "1917, 3, 29", "number": str(NUMBER)}
REFERENCE = "DSR-2026-7K3QXM"
DECLARED: Final = Path(__file__).parents[1] / "data/harmless_types.toml"
HARMLESS: Final = {
    one for part in tomllib.loads(DECLARED.read_text(encoding="utf-8")).values() for one in part["types"]
}
Sink = Callable[[Any], str]


def classes() -> Iterator[type]:
    for module in pkgutil.walk_packages(vault.__path__, "vault."):
        if not module.name.startswith(("vault.testing", "vault.storage.migrations", "vault._airflow")):
            loaded = importlib.import_module(module.name)
            yield from (one for one in vars(loaded).values() if inspect.isclass(one) and one.__module__ == module.name)


def name(one: type) -> str:
    return f"{one.__module__}.{one.__qualname__}"


def is_form(one: type) -> bool:
    """Tell what holds no value of a person's: fixed words, errors, shapes without values, settings."""
    return issubclass(one, enum.Enum | BaseException | Part) or getattr(one, "_is_protocol", False)


def unaccounted(found: list[type]) -> list[str]:
    return [name(one) for one in found if not (issubclass(one, Private) or is_form(one) or name(one) in HARMLESS)]


# a "name" is a key's, a "code" a program's, a "subject" a reference: whoever adds a word looks at every use of it
SHOWABLE: Final = {
    "case",
    "case_ref",
    "channel",
    "code",
    "confidence",
    "document",
    "encryption",
    "fault",
    "form",
    "format",
    "id",
    "index",
    "kind",
    "name",
    "number",
    "office",
    "ok",
    "outcome",
    "pages",
    "place",
    "purpose",
    "reason",
    "ref",
    "ruling",
    "status",
    "subject",
    "template",
    "told",
    "verb",
}
CLASSES: Final = sorted(set(classes()), key=name)
PRIVATE: Final = [one for one in CLASSES if issubclass(one, Private) and one is not Private]
MADE: Final = [one for one in PRIVATE if not inspect.isabstract(one)]
each = pytest.mark.parametrize("one", MADE, ids=name)


# ---- building one of each, filled with canaries, without asking its constructor


def attributes(one: type) -> Mapping[str, object]:
    """Name what an instance holds: a dataclass's fields, else what its methods set."""
    if dataclasses.is_dataclass(one):
        hints: dict[str, object] = {}
        with contextlib.suppress(NameError):  # a name that only the type checker sees
            hints = typing.get_type_hints(one)
        return {field.name: hints.get(field.name, field.type) for field in dataclasses.fields(one)}
    names = [slot for base in one.__mro__ for slot in vars(base).get("__slots__", ())]
    if hasattr(one, "__dict__") and one.__dictoffset__:  # a neighbour's attribute more does no harm
        names += re.findall(r"\bself\.(\w+)\b[^=\n]*=[^=]", source_of(one.__module__))
    return dict.fromkeys([*names, *vars(one).get("__annotations__", {})], object)


@functools.cache
def source_of(module: str) -> str:
    return Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8")


def bait(hint: object) -> object:
    words = f"{CANARIES['name']}, {CANARIES['note']}; {CANARIES['code']}"
    text = str(hint)
    if "Mapping" in text or "dict" in text:
        return {words: [CANARIES["key"].encode(), {"born": BORN}], CANARIES["code"]: words.encode()}
    if "bytes" in text:
        return (words + CANARIES["key"]).encode()
    if "datetime" in text or "date" in text:
        return BORN if "datetime" in text else date(1917, 3, 29)
    if hint in {int, float}:
        return NUMBER
    return (words, CANARIES["key"]) if "tuple" in text or "list" in text else words + CANARIES["key"]


def shown(hint: object) -> object:
    """Give what may be shown: a reference, or the first word of a fixed list."""
    first = next((arg for arg in (hint, *typing.get_args(hint)) if inspect.isclass(arg)), str)
    if issubclass(first, enum.Enum):
        return next(iter(first))
    return (1, 2) if "tuple" in str(hint) else 7 if first in {int, float, bool} else REFERENCE


def without_farewell(one: type) -> type:
    """Give a type whose instances do nothing when they go: what they hold here can't be closed."""
    if not hasattr(one, "__del__"):
        return one
    rest = {"__slots__": (), "__del__": lambda _: None}
    return types.new_class(one.__name__, (one,), {"shows": one._shows}, lambda body: body.update(rest))  # type: ignore[attr-defined]  # Private has it


def filled(one: type) -> Any:
    value: Any = object.__new__(without_farewell(one))
    for attribute, hint in attributes(one).items():
        kind = shown(hint) if attribute in one._shows else bait(hint)  # type: ignore[attr-defined]  # Private has it
        object.__setattr__(value, attribute, kind)
    return value


# ---- ways out


def logged(value: Any) -> str:
    formatter = logging.Formatter("%(message)s %(args)s")
    try:
        raise ValueError(value)  # noqa: TRY301 - as a careless caller would
    except ValueError:
        told = sys.exc_info()
    record = logging.LogRecord("test", logging.ERROR, __file__, 1, "%s and %r in %s", (value, value, [value]), told)
    return formatter.format(record)


def traced(value: Any) -> str:
    held = {"in a dict": value, "in a list": [value]}
    try:
        held[value]
    except (KeyError, TypeError) as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    raise AssertionError


def traced_by_structlog(value: Any) -> str:
    held = [value]
    try:
        raise RuntimeError(*held)  # noqa: TRY301 - its argument and its frame hold the value
    except RuntimeError:
        kind, error, frames = sys.exc_info()
        assert kind is not None
        assert error is not None
        transform = structlog.tracebacks.ExceptionDictTransformer(show_locals=True)
        return json.dumps(transform((kind, error, frames)), default=repr)


@dataclasses.dataclass
class Careless:
    """Somebody's dataclass, with the repr that a dataclass gets."""

    value: object


LONG: Final = reprlib.Repr()
LONG.maxother = 5_000

SINKS: Final[dict[str, Sink]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda value: f"{value} {value!r} {value!s:>80}",
    "percent": lambda value: "%s %r %a" % (value, value, value),  # noqa: UP031 - loggers format so
    "format": lambda value: "{} {!r}".format(value, value),  # noqa: UP032 - and so
    "ascii": ascii,
    "containers": lambda value: repr([{"a": (value,)}, frozenset({1}), Careless(value)]),
    "pprint": pprint.pformat,
    "reprlib": LONG.repr,
    "rich": lambda value: pretty_repr([value], expand_all=True),
    "json, default=str": lambda value: json.dumps([value], default=str),
    "json, default=repr": lambda value: json.dumps({"a": value}, default=repr),
    "logging": logged,
    "structlog": lambda value: str(structlog.processors.JSONRenderer()(None, "info", {"event": value})),
    "traceback": traced,
    "structlog's traceback": traced_by_structlog,
    "exception": lambda value: f"{ValueError(value)!r} {KeyError(value)}",
    "partial": lambda value: repr(functools.partial(print, value)),
}
REFUSALS: Final[dict[str, Callable[[Any], object]]] = {
    **{f"pickle {number}": functools.partial(pickle.dumps, protocol=number) for number in range(6)},
    "pickle in a list": lambda value: pickle.dumps([value]),
    "copy": copy.copy,
    "deepcopy": lambda value: copy.deepcopy({"a": value}),
    "XCom": lambda value: value.serialize(),
}


def test_every_type_is_private_or_declared_harmless() -> None:
    assert unaccounted(CLASSES) == []
    assert len(PRIVATE) >= 80


def test_only_references_kinds_states_and_counts_may_be_shown() -> None:
    shown_ones = {f"{one.__name__}.{attribute}": attribute for one in PRIVATE for attribute in one._shows}

    assert {what: attribute for what, attribute in shown_ones.items() if attribute not in SHOWABLE} == {}


def test_no_declaration_is_stale() -> None:
    known = {name(one) for one in CLASSES if not issubclass(one, Private) and not is_form(one)}

    assert HARMLESS - known == set()


def test_a_new_type_must_say_what_it_is() -> None:
    assert unaccounted([Careless]) == [name(Careless)]


@each
def test_nothing_comes_out(one: type) -> None:
    value = filled(one)

    leaks = search([(way, sink(value).encode()) for way, sink in SINKS.items()], {**CANARIES, **DATES})

    assert leaks == []


@each
def test_it_is_neither_pickled_nor_copied_nor_sent_to_xcom(one: type) -> None:
    value, refused = filled(one), 0

    for act in REFUSALS.values():
        with pytest.raises(WrongUseError, match="private_not_copied"):
            act(value)
        refused += 1
    with pytest.raises(TypeError):
        json.dumps(value)

    assert refused == len(REFUSALS) > 0


@each
def test_it_shows_its_type_and_no_container_of_values(one: type) -> None:
    value = filled(one)

    assert f"{value:>500}".strip() == repr(value)
    assert repr(value).startswith(f"{one.__name__}(")
    assert repr(value).count("=") == len(one._shows)  # type: ignore[attr-defined]  # Private has it


@pytest.mark.parametrize("way", SINKS)
def test_each_way_would_be_found_out(way: str) -> None:
    """An ordinary dataclass leaks through every one of these ways, so a private one that does not is no accident."""
    leaks = search([(way, SINKS[way](Careless(CANARIES["code"])).encode())], CANARIES)

    assert leaks != []


def test_a_careless_dataclass_pickles() -> None:
    assert search([("pickle", pickle.dumps(Careless(CANARIES["note"])))], CANARIES) != []


def test_airflow_s_own_serializer_refuses(tmp_path: Path) -> None:
    program = """
        from datetime import UTC, datetime
        from airflow.sdk.serde import serialize
        from vault.domain.records import Author, Record, RecordKind
        from vault.errors import WrongUseError

        author = Author("a", "b", "c")
        for value in (author, Record("R-1", "P-1", RecordKind.VISIT, datetime.now(UTC), author, {})):
            try:
                print(serialize(value))
            except WrongUseError as error:
                print(error.code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["private_not_copied"] * 2


SECRET_WORDS = ("password", "passphrase", "secret", "token", "pin", "key")
NO_SECRETS = {
    "MailboxSettings.token_url": "where tokens are had; an address with a password in it is refused",
    "Pkcs11Settings.token": "a label that the operator gave it",
    "RegisterSettings.token_url": "where tokens are had; an address with a password in it is refused",
}


def test_settings_hold_paths_of_secrets_and_never_a_secret() -> None:
    parts = [one for one in CLASSES if issubclass(one, Part)]
    found = {
        f"{part.__name__}.{field}": str(info.annotation)
        for part in parts
        for field, info in part.model_fields.items()
        if any(word in field.split("_") for word in (*SECRET_WORDS, *(f"{word}s" for word in SECRET_WORDS)))
    }

    assert len(found) > 10
    plain = [what for what, kind in found.items() if "Path" not in kind and "Settings" not in kind]
    assert [what for what in plain if what not in NO_SECRETS] == []


@pytest.mark.parametrize("address", ["https://u:pass@emr.example/fhir", "https://token@emr.example", "http://u@h:1"])
def test_settings_refuse_an_address_with_a_password(address: str) -> None:
    with pytest.raises(WrongUseError, match="settings_secret") as caught:
        ObjectSettings(endpoint=address, access_key_file=Path("a"), secret_key_file=Path("b"))

    assert address not in str(caught.value)


def test_a_secret_behind_the_settings_shows_nowhere(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(CANARIES["key"])
    settings = [
        DatabaseSettings(host="h", user="u", password_file=tmp_path / "password"),
        KeySettings(socket=tmp_path / "socket", token_files={"desk": tmp_path / "password"}),
    ]

    shown_ones = [(str(part), f"{part!r} {part} {part.model_dump_json()}".encode()) for part in settings]

    assert search(shown_ones, CANARIES) == []
