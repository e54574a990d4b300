"""Pages from templates, in Finnish, Swedish or English; every value is escaped, every word comes from one table."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from importlib import resources
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from vault.desk.sessions import Session
from vault.domain.calendar import HELSINKI
from vault.domain.private import Private

LANGUAGES = ("fi", "sv", "en")
LANGUAGE_COOKIE = "dsr_language"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOCK = {"fi": "klo {0:%H.%M}", "sv": "kl. {0:%H.%M}", "en": "{0:%H:%M}"}


@lru_cache(maxsize=len(LANGUAGES))
def texts(language: str) -> Mapping[str, Any]:
    """Return the words of a language."""
    return tomllib.loads(resources.files("vault.desk").joinpath("texts", f"{language}.toml").read_text("utf-8"))


def language_of(request: Request) -> str:
    """Choose the page's language: the reader's choice, else the browser's, else Finnish."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return chosen
    wanted = [part.split(";")[0].strip()[:2].lower() for part in request.headers.get("accept-language", "").split(",")]
    return next((language for language in wanted if language in LANGUAGES), LANGUAGES[0])


def day(value: date, language: str) -> str:
    """Write a date as the language does: ``5.4.2026``, ``5 Apr 2026``."""
    if language == "en":
        return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"
    return f"{value.day}.{value.month}.{value.year}"


def local(value: datetime) -> datetime:
    """Return a moment as Helsinki's clocks show it."""
    return value.astimezone(HELSINKI)


def moment(value: datetime, language: str) -> str:
    """Write a moment with Helsinki's date and time."""
    here = local(value)
    return f"{day(here, language)}, {_CLOCK[language].format(here)}".replace(", kl", " kl")


def actor(value: str, words: Mapping[str, Any]) -> str:
    """Write who acted: a machine by its office, a person by her number; anybody else as the log names her."""
    kind, _, name = value.partition(":")
    known = {"staff": f"{words['case']['staff']} {name}", "office": f"{words['case']['machine']}: {name}"}
    return known.get(kind, value)


@dataclass(frozen=True, slots=True)
class Page(Private, shows=("template", "status")):
    """What a template is filled with besides what every page shows."""

    template: str
    values: Mapping[str, Any]
    status: int = 200


class Renderer:
    """Makes pages."""

    def __init__(self, airflow_url: str) -> None:
        self._airflow_url = airflow_url
        self._environment = Environment(
            loader=PackageLoader("vault.desk"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(day=day, local=local, moment=moment, actor=actor)

    def page(self, request: Request, page: Page, session: Session | None, token: str = "") -> HTMLResponse:
        """Fill a template.

        :param token: the session's form token.
        """
        language = language_of(request)
        query = f"?{request.url.query}" if request.method == "GET" and request.url.query else ""
        values = {
            "t": texts(language),
            "lang": language,
            "languages": LANGUAGES,
            "staff": session.staff if session else None,
            "roles": session.staff.roles if session else frozenset(),
            "token": token,
            "here": request.url.path + query if request.method == "GET" else "/",
            "airflow_url": self._airflow_url,
            # Airflow's frame lets nothing out: no new window, no PDF viewer, no change of the page around it
            "framed": request.headers.get("sec-fetch-dest") == "iframe",
            "room": "",
            **page.values,
        }
        return HTMLResponse(self._environment.get_template(page.template).render(values), status_code=page.status)
