"""What holds for every personal identity code."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from vault.domain.hetu import SIGNS, HetuError, parse, spell

TODAY = date(2099, 12, 31)
SIGN_AND_DAY = st.sampled_from([(sign, century) for century, signs in SIGNS.items() for sign in signs]).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.dates(date(pair[1], 1, 1), date(pair[1] + 99, 12, 31)))
)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+-/ \u2013\uff11"


@given(SIGN_AND_DAY, st.integers(2, 999))
def test_a_spelled_code_reads_back(sign_and_day: tuple[str, date], individual: int) -> None:
    sign, born = sign_and_day

    code = parse(spell(born, individual, sign), TODAY)

    assert (code.birth_date, code.value[6], int(code.value[7:10])) == (born, sign, individual)
    assert spell(code.birth_date, int(code.value[7:10]), code.value[6]) == code.value


@given(SIGN_AND_DAY, st.integers(2, 999), st.integers(0, 10), st.sampled_from(ALPHABET))
def test_one_changed_character_is_refused_or_another_person(
    sign_and_day: tuple[str, date], individual: int, place: int, other: str
) -> None:
    value = spell(sign_and_day[1], individual, sign_and_day[0])
    changed = value[:place] + other + value[place + 1 :]

    try:
        read = parse(changed, TODAY)
    except HetuError:
        assert changed != value
    else:
        # only the sign may change unnoticed, and then it is another identity
        assert changed == value or place == 6
        assert (read.value == value) == (changed == value)


@given(SIGN_AND_DAY, st.integers(2, 999), st.integers(0, 9))
def test_two_swapped_digits_are_noticed(sign_and_day: tuple[str, date], individual: int, place: int) -> None:
    value = spell(sign_and_day[1], individual, sign_and_day[0])
    swapped = value[:place] + value[place + 1] + value[place] + value[place + 2 :]

    try:
        read = parse(swapped, TODAY)
    except HetuError:
        assert swapped != value
    else:
        assert read.value == value


@given(st.text(max_size=20) | st.text(alphabet=ALPHABET.lower() + ALPHABET, min_size=11, max_size=11))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        code = parse(text, TODAY)
    except HetuError:
        return
    assert code.value == text.strip().upper()
    assert spell(code.birth_date, int(code.value[7:10]), code.value[6]) == code.value
