"""Every page of the desk in a real browser: axe finds nothing, nothing runs over, the keyboard alone suffices."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from vault.domain.alarms import AlarmCode
from vault.steps.check import open_particulars
from vault.steps.emergency import break_glass
from vault.steps.parts import Staff
from vault.storage.alarms import raise_alarm
from vault.testing.browser import chromium, overflow, violations
from vault.testing.deskcases import HOSTILE_MAIL, RunningDesk, running_desk
from vault.testing.staff import sign_assertion

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
LANGUAGES = ("fi", "sv", "en")
WIDTHS = (320, 1280)
REASON = "She writes that she will harm herself tonight."
_TALLEST = 8000  # pixels of a picture that can still be looked at


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def ringing(desk: RunningDesk) -> tuple[str, str]:
    """Have two alarms on the board; return the references of one and of the emergency behind the other."""
    clinician = Staff("8", "Kaisa Clinician", frozenset({"clinician"}))
    emergency = break_glass(desk.parts, clinician, desk.cases["asked"], REASON)
    with desk.parts.database.connect() as connection:
        now, detail = desk.parts.now() - timedelta(days=4), {"limit": "100", "opened": "100"}
        alarm = raise_alarm(connection, AlarmCode.CAP_REACHED, at=now, actor="staff:8", detail=detail)
    return alarm, emergency.ref


def context_of(
    browser: Browser, desk: RunningDesk, language: str, width: int, *roles: str, sub: str = "7"
) -> BrowserContext:
    context = browser.new_context(viewport={"width": width, "height": 900}, locale=language)
    if roles:
        assertion = sign_assertion(desk.installation.assertion_key, roles, sub=sub, name="Sari Staff")
        answer = context.request.post(f"{desk.url}/session", form={"assertion": assertion}, max_redirects=0)
        assert answer.status == 303
    return context


def mail_of(desk: RunningDesk, name: str) -> str:
    """Return where a case's mail is shown as it came."""
    dpo = Staff("9", "Olli Officer", frozenset({"dpo"}))
    case, said = open_particulars(desk.parts, dpo, desk.cases[name])
    return f"/identity/{case.ref}/mails/{said['arrival']}"


def check(page: Page, name: str) -> None:
    """Look at a page as axe does, and keep its picture."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_load_state()  # else a page that was just left may answer
    tall = page.evaluate("document.documentElement.scrollHeight") > _TALLEST
    page.screenshot(path=SHOTS / f"{name}.png", full_page=not tall)
    assert violations(page) == []
    assert overflow(page) == 0
    assert "built-in method" not in page.content()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_is_accessible(
    browser: Browser, desk: RunningDesk, ringing: tuple[str, str], language: str, width: int
) -> None:
    context = context_of(browser, desk, language, width, "dpo", "registrar", "clinician")
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if "Content Security" in said.text else None)
    cases = desk.cases
    alarm, emergency = ringing
    paths = {
        "board": "/",
        "alarm": f"/alarms/{alarm}",
        "emergency": f"/cases/{cases['unknown']}/emergency",
        "emergency-review": f"/emergencies/{emergency}",
        "board-closed": "/?closed=yes&exception=any",
        "case": f"/cases/{cases['name_differs']}",
        "case-asked": f"/cases/{cases['asked']}",
        "identity-list": "/identity",
        "identity": f"/identity/{cases['name_differs']}",
        "identity-scan": f"/identity/{cases['scan']}",
        "original": f"/identity/{cases['scan']}/original",
        "mail": mail_of(desk, "undecryptable"),
        "audit": "/audit",
        "review-list": "/review",
        "review": f"/review/{cases['draft_too']}",
        "problem": "/cases/DSR-2026-000000",
    }

    for name, path in paths.items():
        page.goto(desk.url + path)
        for number in range(page.locator("details:not([open]) > summary").count()):
            page.locator("details > summary").nth(number).click()
        check(page, f"{name}-{language}-{width}")
    page.goto(f"{desk.url}/audit")
    page.fill("#patient", cases["draft"])
    page.locator("#search button").click()
    page.wait_for_selector("tr[data-index]")
    check(page, f"audit-found-{language}-{width}")
    page.fill("#patient", "nobody at all")
    page.locator("#search button").click()
    page.wait_for_selector("#fault")
    check(page, f"audit-fault-{language}-{width}")
    page.goto(f"{desk.url}/review/{cases['draft_too']}")
    decide_all(page)
    check(page, f"confirm-{language}-{width}")
    page.locator(".person button").click()
    check(page, f"left-{language}-{width}")
    page.goto(f"{desk.url}/")
    check(page, f"enter-{language}-{width}")

    assert page.locator("html").get_attribute("lang") == language
    assert faults == []
    context.close()


def decide_all(page: Page) -> None:
    """Refuse the first document, release the others, and go on to the summary."""
    names = [str(item.get_attribute("data-document")) for item in page.locator("article").all()]
    page.check(f"#refuse-{names[0]}")
    page.select_option(f"#ground-{names[0]}-select", index=1)
    for name in names[1:]:
        page.check(f"#release-{name}")
    page.locator(".go button").click()


def test_pages_are_accessible_in_the_dark_and_at_400_percent(browser: Browser, desk: RunningDesk) -> None:
    context = context_of(browser, desk, "fi", 320, "dpo", "registrar", "clinician")
    page = context.new_page()
    page.emulate_media(color_scheme="dark")

    for name, path in {"board": "/", "case": f"/cases/{desk.cases['unknown']}"}.items():
        page.goto(desk.url + path)
        check(page, f"{name}-dark")

    context.close()


def test_a_draft_is_released_by_the_keyboard_alone(browser: Browser, desk: RunningDesk) -> None:
    context = context_of(browser, desk, "en", 1280, "clinician")
    page = context.new_page()
    page.goto(f"{desk.url}/review")

    tab_to(page, f'a[href="/review/{desk.cases["draft"]}"]')
    page.keyboard.press("Enter")
    page.wait_for_selector("article")
    for item in [str(each.get_attribute("data-document")) for each in page.locator("article").all()]:
        tab_to(page, f"#release-{item}")
        page.keyboard.press("Space")
    tab_to(page, ".go button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#confirm")
    tab_to(page, 'button[name="confirm"]')
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/cases/{desk.cases['draft']}")

    assert page.locator('tr[data-event="decision_made"]').count() == 1
    context.close()


def test_the_log_is_searched_by_the_keyboard_alone(browser: Browser, desk: RunningDesk) -> None:
    context = context_of(browser, desk, "en", 1280, "auditor", sub="41")
    page = context.new_page()
    page.goto(desk.url)
    tab_to(page, 'a[href="/audit"]')
    page.keyboard.press("Enter")
    page.wait_for_selector("#search")
    tab_to(page, "#reader")
    page.keyboard.type("no such reader")
    page.keyboard.press("Enter")
    page.wait_for_selector("#fault")
    assert page.locator("#reader").get_attribute("aria-describedby") == "reader-help fault"
    assert page.locator("#reader").get_attribute("aria-invalid") == "true"
    tab_to(page, "#reader")
    page.keyboard.press("Control+A")
    page.keyboard.type("office:collector")
    tab_to(page, "#purpose")
    page.keyboard.type("collecting")
    tab_to(page, "#search button")
    page.keyboard.press("Enter")
    page.wait_for_selector("tr[data-index]")

    assert {row.get_attribute("data-purpose") for row in page.locator("tr[data-index]").all()} == {"collect"}
    assert "office" not in page.url
    assert violations(page) == []
    context.close()


def test_the_glass_is_broken_and_reviewed_by_the_keyboard_alone(browser: Browser, desk: RunningDesk) -> None:
    context = context_of(browser, desk, "en", 1280, "clinician", sub="31")
    page, ref = context.new_page(), desk.cases["undecryptable"]
    page.goto(f"{desk.url}/cases/{ref}")
    tab_to(page, f'a[href="/cases/{ref}/emergency"]')
    page.keyboard.press("Enter")
    page.wait_for_selector("#reason")
    tab_to(page, "#reason")
    page.keyboard.type("now now now now now")
    tab_to(page, "#break button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#reason-fault")
    assert page.locator("#reason").get_attribute("aria-describedby") == "reason-help reason-fault"
    assert violations(page) == []
    tab_to(page, "#reason")
    page.keyboard.press("Control+A")
    page.keyboard.type(REASON)
    tab_to(page, "#break button")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/cases/{ref}")
    page.wait_for_selector("h2#events")
    assert violations(page) == []
    tab_to(page, f'a[href="/identity/{ref}"]')
    context.close()

    context = context_of(browser, desk, "en", 1280, "dpo", sub="32")
    page = context.new_page()
    page.goto(desk.url)
    row = page.locator("tr[data-alarm=emergency_opened]", has_text="staff no. 31")
    tab_to(page, f'a[href="/alarms/{row.get_attribute("data-alarm-ref")}"]')
    page.keyboard.press("Enter")
    page.wait_for_selector('a[href^="/emergencies/"]')
    tab_to(page, 'a[href^="/emergencies/"]')
    page.keyboard.press("Enter")
    page.wait_for_selector("#review")
    tab_to(page, "#verdict-justified")
    page.keyboard.press("Space")
    tab_to(page, "#words")
    page.keyboard.type("The letter spoke of danger.")
    tab_to(page, "#review button")
    page.keyboard.press("Enter")
    page.wait_for_selector("h2#alarms")

    assert page.locator("tr[data-alarm=emergency_opened]", has_text="staff no. 31").count() == 0
    page.goto(f"{desk.url}/cases/{ref}")
    page.click("tr[data-emergency] a")
    page.wait_for_selector("h2#found")
    check(page, "emergency-reviewed")
    context.close()


def test_a_mail_as_it_came_is_read_and_downloaded_by_the_keyboard_alone(browser: Browser, desk: RunningDesk) -> None:
    context = context_of(browser, desk, "en", 1280, "registrar", sub="61")
    page, ref = context.new_page(), desk.cases["undecryptable"]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.goto(f"{desk.url}/identity/{ref}")
    tab_to(page, "a[data-mail=request]")
    page.keyboard.press("Enter")
    page.wait_for_selector("h2#headers")
    tab_to(page, "blockquote[data-words='2']")
    tab_to(page, "form[action$='/file'] button")
    with page.expect_download() as begun:
        page.keyboard.press("Enter")

    assert Path(begun.value.path()).read_bytes() == HOSTILE_MAIL
    assert begun.value.suggested_filename.startswith(ref)
    assert [url for url in asked if not url.startswith(desk.url)] == []
    context.close()


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus, which then must be seen."""
    for _ in range(400):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline == "solid"
            return
    pytest.fail(f"the keyboard does not reach {selector}")


def test_the_desk_works_without_scripts_inside_airflows_frame(browser: Browser, desk: RunningDesk) -> None:
    context = browser.new_context(java_script_enabled=False)
    assertion = sign_assertion(desk.installation.assertion_key, ["dpo"])
    page = context.new_page()
    form = f'<form method="post" action="{desk.url}/session"><input name="assertion" value="{assertion}">'
    page.set_content(f"{form}<button>Go</button></form>")

    page.click("button")
    page.wait_for_url(f"{desk.url}/")
    page.click('button[lang="sv"]')

    assert page.title().startswith("Lägestavla")
    context.close()
