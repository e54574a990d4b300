"""A mail as it came, at the desk: plain text alone, a logged look each time, and a file that no browser shows."""

from collections.abc import Iterator

import pytest

from vault.steps.emergency import break_glass
from vault.steps.parts import Staff
from vault.testing.deskcases import HOSTILE_MAIL, RunningDesk, running_desk
from vault.testing.htmlpage import Element
from vault.testing.staff import DeskError, StaffClient


@pytest.fixture(scope="module")
def desk() -> Iterator[RunningDesk]:
    with running_desk() as running:
        yield running


def way_of(staff: StaffClient, ref: str) -> str:
    """Return where the request's mail is shown, as the particulars say."""
    (link,) = staff.page(f"/identity/{ref}").all("a", data_mail="request")
    return link.attributes["href"]


def looks(desk: RunningDesk) -> int:
    with desk.installation.owner() as connection:
        row = connection.execute("select count(*) from log_leaves").fetchone()
    return int(row[0]) if row else 0


def fields(page: Element) -> list[tuple[str, str]]:
    return [(item.attributes["data-header"], item.text) for item in page.all("dd", data_header=None)]


def test_it_is_shown_as_text_with_one_logged_look(desk: RunningDesk) -> None:
    registrar, ref = desk.staff("registrar"), desk.cases["undecryptable"]
    way = way_of(registrar, ref)
    before = looks(desk)

    answer = registrar.http.get(way)
    page = registrar.page(way)

    assert looks(desk) == before + 2  # one for each time
    assert ("subject", "<script>alert('subject')</script>") in fields(page)
    assert [row.attributes["data-part"] for row in page.all("tr", data_part=None)] == ["1", "2", "3", "4"]
    assert [item.attributes["data-words"] for item in page.all("blockquote", data_words=None)] == ["2", "3"]
    assert page.all("script") + page.all("iframe") + page.all("svg") == []
    assert [item.attributes["src"] for item in page.all("img")] == ["/static/mark.svg"]
    assert [link.attributes["href"] for link in page.all("a") if "://" in link.attributes["href"]] == []
    assert "onerror=alert(2)&gt;" in answer.text
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_its_file_is_given_as_it_came_and_is_a_look_of_its_own(desk: RunningDesk) -> None:
    registrar, ref = desk.staff("registrar"), desk.cases["undecryptable"]
    way = way_of(registrar, ref)
    token = registrar.page(way).all("input", name="token")[0].attributes["value"]
    before = looks(desk)

    answer = registrar.http.post(f"{way}/file", data={"token": token})

    assert looks(desk) == before + 1
    assert answer.content == HOSTILE_MAIL
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{ref}-')
    assert registrar.http.post(f"{way}/file", data={"token": "0" * 64}).status_code == 403
    assert registrar.http.get(f"{way}/file").status_code == 405
    assert looks(desk) == before + 1


def test_inside_airflows_frame_nothing_is_downloaded(desk: RunningDesk) -> None:
    registrar = desk.staff("registrar")
    way = way_of(registrar, desk.cases["undecryptable"])
    registrar.http.headers["Sec-Fetch-Dest"] = "iframe"

    assert registrar.page(way).all("form", action=f"{way}/file") == []


def test_a_clinician_sees_it_in_an_emergency_alone(desk: RunningDesk) -> None:
    ref = desk.cases["undecryptable"]
    way = way_of(desk.staff("dpo"), ref)
    clinician = desk.staff("clinician", sub="51")

    with pytest.raises(DeskError, match="403"):
        clinician.page(way)
    before = looks(desk)
    break_glass(desk.parts, Staff("51", "Sari Staff", frozenset({"clinician"})), ref, "She is in danger tonight.")

    assert fields(clinician.page(way))
    assert looks(desk) > before


@pytest.mark.parametrize("roles", [("auditor",), ("operator",)], ids=["auditor", "operator"])
def test_others_do_not_see_it(desk: RunningDesk, roles: tuple[str, ...]) -> None:
    way = way_of(desk.staff("dpo"), desk.cases["undecryptable"])
    before = looks(desk)

    with pytest.raises(DeskError, match="403"):
        desk.staff(*roles).page(way)
    assert looks(desk) == before


def test_no_case_shows_another_ones_mail(desk: RunningDesk) -> None:
    registrar = desk.staff("registrar")
    arrival = way_of(registrar, desk.cases["undecryptable"]).rpartition("/")[2]

    for name in ("to_clear", "scan"):
        with pytest.raises(DeskError, match="404 no_such_mail"):
            registrar.page(f"/identity/{desk.cases[name]}/mails/{arrival}")


def test_a_scanned_letter_is_no_mail(desk: RunningDesk) -> None:
    page = desk.staff("registrar").page(f"/identity/{desk.cases['scan']}")

    assert page.all("a", data_mail=None) == []
