"""How every command answers: one JSON object with ``--json``, plain lines without; stable exit codes."""

import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from vault.domain.private import Private
from vault.errors import VaultError


@dataclass(frozen=True, slots=True)
class Answer(Private, shows=("ok",)):
    """What a command found.

    :param data: the one JSON object.
    :param lines: the same for a person; empty means the JSON itself.
    :param ok: False is a negative answer (exit 1).
    """

    data: Mapping[str, Any]
    lines: Sequence[str] = field(default=())
    ok: bool = True


def answering(function: Callable[..., Answer]) -> Callable[..., None]:
    """Turn a function that returns an :class:`Answer` into a click callback with ``--json``."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @functools.wraps(function)
    def command(*args: Any, as_json: bool, **kwargs: Any) -> None:
        try:
            answer = function(*args, **kwargs)
        except VaultError as error:
            body = {"ok": False, "error": error.code, "advice": error.advice, "ref": error.ref}
            click.echo(json.dumps(body) if as_json else f"{error.code}: {error.advice}", err=not as_json)
            sys.exit(error.exit_code)
        if as_json or not answer.lines:
            click.echo(json.dumps(answer.data, ensure_ascii=False, indent=None if as_json else 2))
        else:
            click.echo("\n".join(answer.lines))
        sys.exit(0 if answer.ok else 1)

    return command
