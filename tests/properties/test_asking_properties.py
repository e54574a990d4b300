"""The form as text reads back what was filled in, and no text, name or file of a stranger's raises."""

import string

from hypothesis import given
from hypothesis import strategies as st

from vault.intake.formrequest import request_of
from vault.intake.forms import CHOICES, INSPECTION_1, FieldKind
from vault.intake.formtexts import TEXTS
from vault.intake.idimages import identity_copies, picture_kind, size_of
from vault.intake.opened import Attachment
from vault.intake.textform import read_text_form, write_text_form
from vault.intake.understand import understand

WRITTEN = st.text(string.ascii_letters + string.digits + "åäöÅÄÖ@+-' ", min_size=1, max_size=20).filter(
    lambda value: value == value.strip() and any(map(str.isalnum, value))
)
FIELDS = [field for field in INSPECTION_1.fields if field.kind is not FieldKind.INK]
STRANGE = st.text(st.characters(), max_size=300)
NOISE = st.lists(
    st.sampled_from(["dsr-form:inspection:1:fi", "[x] ", "(x) ", ": ", "\n", "> ", "Koko nimi", "kuka "]) | STRANGE
)


@st.composite
def filled_forms(draw: st.DrawFn) -> tuple[str, str, dict[str, str | tuple[str, ...]]]:
    """Fill some fields in; return language, text and what was filled in."""
    language = draw(st.sampled_from(INSPECTION_1.languages))
    text, wanted, labels = write_text_form(language), {}, TEXTS[language]
    for field in draw(st.lists(st.sampled_from(FIELDS), unique_by=lambda field: field.name, min_size=1)):
        if field.kind in CHOICES:
            most = len(field.options) if field.kind is FieldKind.MANY else 1
            chosen = draw(
                st.lists(st.sampled_from(field.options), min_size=1, max_size=most, unique_by=lambda o: o.value)
            )
            for option in chosen:
                text = text.replace(
                    f"[ ] {labels[f'{field.name}.{option.value}']}\n", f"[x] {labels[f'{field.name}.{option.value}']}\n"
                )
            values = tuple(option.value for option in field.options if option in chosen)
            wanted[field.name] = values if field.kind is FieldKind.MANY else values[0]
        else:
            value = draw(WRITTEN)[: field.longest].strip()
            text = text.replace(f"\n{labels[field.name]}: \n", f"\n{labels[field.name]}: {value}\n", 1)
            wanted[field.name] = value
    return language, text, wanted


@given(filled_forms(), st.sampled_from(["", "> ", ">> ", "| "]))
def test_what_was_filled_in_is_read_back(form: tuple[str, str, dict[str, str | tuple[str, ...]]], quote: str) -> None:
    language, text, wanted = form

    found = read_text_form("\n".join(quote + line for line in text.split("\n")))

    assert found is not None
    assert (found.language, dict(found.values)) == (language, wanted)
    assert request_of(found.values, language).confidence >= 0.5


@given(NOISE)
def test_no_text_raises(pieces: list[str]) -> None:
    text = "".join(pieces)

    found = read_text_form(text)
    request = understand(text)

    if found is not None:
        request_of(found.values, found.language)
    assert 0 <= request.confidence <= 1


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x18ftypheic"]),
    STRANGE,
    STRANGE,
)
def test_no_file_raises(data: bytes, head: bytes, name: str, words: str) -> None:
    (flag,) = identity_copies([Attachment(name, "image/png", head + data)], words)

    size_of(head + data)
    assert not flag or picture_kind(head + data) is not None
