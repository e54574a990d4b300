"""Takes the README's pictures from the running demo: each role signs in to Airflow in a real browser."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import Page, ViewportSize
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from vault.settings import read_secret
from vault.testing.airflow import AirflowServer
from vault.testing.browser import chromium
from vault.testing.cast import SEED, deliverer
from vault.testing.controller import ADDRESS
from vault.testing.demo.command import HOME
from vault.testing.installation import Installation
from vault.testing.mails import Letter, plain_mail
from vault.testing.mailtexts import request_text
from vault.testing.patients import patients
from vault.testing.pipeline import found, start_airflow, start_desk
from vault.testing.staff import StaffClient

IMAGES = Path("docs/images")
_SIZE = ViewportSize(width=1280, height=860)


def main() -> None:
    """Sign in as each role and photograph what it works with."""
    installation = found(HOME.absolute())
    desk, server = start_desk(installation), start_airflow(installation)
    IMAGES.mkdir(parents=True, exist_ok=True)
    ref = waiting_draft(installation, server, desk)
    with chromium() as browser:
        for user, name, go in _pictures(desk, server, ref):
            page = browser.new_context(viewport=_SIZE, locale="en-GB").new_page()
            sign_in(page, server, user)
            go(page)
            with suppress(PlaywrightTimeoutError):
                page.wait_for_load_state("networkidle", timeout=8_000)
            page.wait_for_timeout(4_000)
            page.screenshot(path=IMAGES / f"{name}.png")
            page.context.close()


def waiting_draft(installation: Installation, server: AirflowServer, desk: str) -> str:
    """Send one more request and see it through to a draft; return its reference."""
    patient = list(patients(SEED, 13))[12]
    text = request_text(patient.language, patient.name, patient.code)
    deliverer(installation)(plain_mail(Letter(patient.name, "new@requester.example", ADDRESS, text)))
    registrar, clinician = (
        StaffClient.through_airflow(server.url, desk, user, read_secret(server.password_file(user)))
        for user in ("registrar", "clinician")
    )
    for _ in range(120):
        time.sleep(1)
        for ref in registrar.identity_list():
            found = registrar.open_identity(ref)
            if found["name"] == patient.name and found["stage"] == "checking":
                registrar.prove(ref, "document_seen_in_person", "Identity document seen, not copied.")
        drafts = clinician.review_list()
        if drafts:
            return drafts[0]
    raise SystemExit("no draft came; is the demo running?")


def sign_in(page: Page, server: AirflowServer, user: str) -> None:
    """Sign in through Airflow's own form."""
    page.goto(f"{server.url}/auth/login/")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", read_secret(server.password_file(user)))
    page.click("input[type=submit], button[type=submit]")
    page.wait_for_load_state()


def _pictures(desk: str, server: AirflowServer, ref: str) -> list[tuple[str, str, Callable[[Page], None]]]:
    def at_desk(path: str) -> Callable[[Page], None]:
        def go(page: Page) -> None:
            page.goto(f"{server.url}/desk/open")
            page.wait_for_url(f"{desk}/**")
            page.goto(f"{desk}{path}")

        return go

    return [
        ("dpo", "board", at_desk("/")),
        ("dpo", "airflow-home", lambda page: _goto(page, f"{server.url}/plugin/desk")),
        ("operator", "airflow-dags", lambda page: _goto(page, f"{server.url}/dags")),
        ("clinician", "required-actions", lambda page: _goto(page, f"{server.url}/required_actions")),
        ("clinician", "review", at_desk(f"/review/{ref}")),
        ("registrar", "identity", at_desk(f"/identity/{ref}")),
        ("auditor", "case", at_desk(f"/cases/{ref}")),
    ]


def _goto(page: Page, url: str) -> None:
    page.goto(url)


if __name__ == "__main__":
    main()
