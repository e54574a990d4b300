"""What holds for every machine-readable zone; the zones are written by a second, plain implementation."""

import string

from hypothesis import given
from hypothesis import strategies as st

from vault.domain.mrz import MrzError, parse

VALUES = {letter: value for value, letter in enumerate(string.digits + string.ascii_uppercase)} | {"<": 0}
LETTERS = string.ascii_uppercase


def digit(text: str) -> str:
    total = 0
    for place, letter in enumerate(text):
        total += VALUES[letter] * (7, 3, 1)[place % 3]
    return str(total % 10)


NAMES = st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=1, max_size=2)
DATES = st.dates().map(lambda day: f"{day.year % 100:02d}{day.month:02d}{min(day.day, 28):02d}")
CELLS = LETTERS + string.digits


@st.composite
def zones(draw: st.DrawFn) -> tuple[str, str, dict[str, str]]:
    surname, given_names = draw(NAMES), draw(NAMES)
    fields = {
        "surname": " ".join(surname),
        "given_names": " ".join(given_names),
        "document_number": draw(st.text(CELLS, min_size=1, max_size=9)),
        "birth_date": draw(DATES),
        "expiry_date": draw(DATES),
        "sex": draw(st.sampled_from("MF<")),
        "optional": draw(st.text(CELLS, max_size=7)),
        "issuer": draw(st.text(LETTERS, min_size=1, max_size=3)),
        "nationality": draw(st.text(LETTERS, min_size=1, max_size=3)),
    }
    name = draw(st.sampled_from(["TD1", "TD2", "TD3"]))
    return name, write(name, fields), fields


def write(name: str, fields: dict[str, str]) -> str:
    names = "<<".join(fields[part].replace(" ", "<") for part in ("surname", "given_names"))
    number = f"{fields['document_number']:<<9}"
    number += digit(number)
    birth, expiry = (fields[part] + digit(fields[part]) for part in ("birth_date", "expiry_date"))
    issuer, nationality, sex = f"{fields['issuer']:<<3}", f"{fields['nationality']:<<3}", fields["sex"]
    if name == "TD1":
        first = f"{number}{fields['optional']:<<15}"
        total = digit(first + birth + expiry + "<" * 11)
        return f"I<{issuer}{first}\n{birth}{sex}{expiry}{nationality}{'<' * 11}{total}\n{names:<<30}"
    optional = f"{fields['optional']:<<7}"
    if name == "TD3":
        optional = f"{fields['optional']:<<14}"
        optional += digit(optional)
    total = digit(number + birth + expiry + optional)
    width = 31 if name == "TD2" else 39
    code = "I<" if name == "TD2" else "P<"
    return f"{code}{issuer}{names:<<{width}}\n{number}{nationality}{birth}{sex}{expiry}{optional}{total}"


@given(zones())
def test_a_written_zone_reads_back(case: tuple[str, str, dict[str, str]]) -> None:
    name, text, fields = case

    zone = parse(text)

    assert zone.valid
    assert zone.format == name
    assert "\n".join(zone.lines) == text
    assert {part: zone.fields[part] for part in fields} == fields


@given(zones(), st.integers(0, 200), st.integers(1, 9))
def test_one_changed_digit_of_a_checked_field_is_noticed(
    case: tuple[str, str, dict[str, str]], place: int, step: int
) -> None:
    name, text, _ = case
    places = [at for at, letter in enumerate(text) if letter in string.digits]
    at = places[place % len(places)]
    changed = text[:at] + str((int(text[at]) + step) % 10) + text[at + 1 :]

    assert not parse(changed).valid, name


@given(st.text(alphabet=CELLS + "<\n ", max_size=150) | st.text(max_size=150))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        zone = parse(text)
    except MrzError:
        return
    assert zone.lines == tuple(line.strip() for line in text.splitlines() if line.strip())


@given(st.text(CELLS + "<", min_size=88, max_size=88), st.sampled_from([(44, "P"), (36, "I"), (30, "A")]))
def test_any_cells_of_the_right_shape_get_a_verdict(cells: str, shape: tuple[int, str]) -> None:
    width, code = shape
    text = (code + cells + "<<")[: width * (3 if width == 30 else 2)]

    zone = parse("\n".join(text[at : at + width] for at in range(0, len(text), width)))

    assert set(zone.checks) >= {"document_number", "birth_date", "expiry_date", "composite"}
