"""What every page works with: the desk's parts, one visit of one member of staff, one way to one page."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request, Response
from starlette.datastructures import FormData

from vault.desk.airflow import AirflowWord
from vault.desk.drafts import OpenDrafts
from vault.desk.memory import Memory
from vault.desk.render import Page, Renderer
from vault.desk.sessions import Session, Sessions
from vault.domain.private import Private
from vault.domain.roles import Role
from vault.steps.audit import Auditing
from vault.steps.original import Original
from vault.steps.parts import Parts

EVERYBODY = frozenset(Role)


class Desk(Private):
    """What every page works with."""

    def __init__(self, parts: Parts, audit: Parts | None = None) -> None:
        """Read the desk's secrets.

        :param audit: parts of the office ``audit``, where this machine may use it.
        :raises WrongUseError: one is missing, empty or a default.
        """
        self.parts = parts
        self.sessions = Sessions(parts)
        self.renderer = Renderer(parts.settings.desk.airflow_url)
        self.airflow = AirflowWord(parts.settings.desk)
        self.drafts = OpenDrafts(parts)
        self.originals: Memory[Original] = Memory(parts.now)
        self.auditing = Auditing(audit) if audit else None
        self.secure = parts.settings.desk.url.startswith("https://")


@dataclass(frozen=True, slots=True)
class Visit(Private):
    """One request of one member of staff."""

    desk: Desk
    request: Request
    session: Session
    form: FormData

    def path(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def field(self, name: str) -> str:
        """Return a field of the form, or ''; line ends as one character."""
        value = self.form.get(name)
        return value.replace("\r\n", "\n") if isinstance(value, str) else ""

    def fields(self, name: str) -> list[str]:
        """Return every value of a form's field that may be chosen several times."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]


Handler = Callable[[Visit], "Page | Response"]


@dataclass(frozen=True, slots=True)
class Route:
    """One way to one page."""

    method: str
    path: str
    roles: frozenset[Role]
    handler: Handler
