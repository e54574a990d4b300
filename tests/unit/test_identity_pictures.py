"""Pictures of identity documents are told by name, words and shape, whatever type the sender claims."""

import io

import pytest
from PIL import Image

from vault.intake.idimages import identity_copies, picture_kind, size_of
from vault.intake.opened import Attachment

CARD, PASSPORT_PAGE, PHOTO = (856, 540), (1250, 880), (4000 // 4, 3000 // 4)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def picture(size: tuple[int, int] = PHOTO, form: str = "JPEG") -> bytes:
    target = io.BytesIO()
    Image.new("L", size, 200).save(target, form)
    return target.getvalue()


def flagged(name: str, words: str = "", data: bytes | None = None) -> bool:
    (found,) = identity_copies(
        [Attachment(name, "application/octet-stream", picture() if data is None else data)], words
    )
    return found


@pytest.mark.parametrize(
    "name",
    [
        *(
            "passi.jpg",
            "Passport_scan.JPG",
            "henkilökortti.jpeg",
            "henkilokortti-etu.png",
            "ajokortti2.jpg",
            "pass.png",
        ),
        *("id-kort.jpg", "korkort.jpg", "ID card.jpg", "drivers_license.jpeg", "my identity document.heic"),
    ],
)
def test_a_name_tells(name: str) -> None:
    assert flagged(name)


@pytest.mark.parametrize(
    "name", ["passiivi.jpg", "kompassi.jpg", "IMG_2041.jpg", "bypass.jpg", "lasku.jpg", "compass.png"]
)
def test_other_names_do_not(name: str) -> None:
    assert not flagged(name)


@pytest.mark.parametrize(
    "words",
    [
        "Liitteenä kuva passistani.",
        "Här är en kopia av mitt id-kort.",
        "My passport is attached.",
        "Ohessa ajokorttini",
    ],
)
def test_the_mails_words_tell(words: str) -> None:
    assert flagged("IMG_2041.jpg", words)
    assert not flagged("valtakirja.jpg", words)  # the file's own name says what else it is
    assert not flagged("IMG_2041.jpg", "", None)


@pytest.mark.parametrize(("size", "card"), [(CARD, True), (PASSPORT_PAGE, True), (PHOTO, False), ((1920, 1080), False)])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_cards_shape_tells_where_the_words_speak_of_identity(size: tuple[int, int], card: bool, form: str) -> None:
    data = picture(size, form)

    assert size_of(data) == size
    assert flagged("IMG.jpg", "Todistan henkilöllisyyteni.", data) is card
    assert not flagged("IMG.jpg", "Pyydän tietoni.", data)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (HEIC, "heif"),
        (b"%PDF-1.7", "pdf"),
        (picture(form="PNG"), "png"),
        (picture(form="TIFF"), "tiff"),
        (b"MZ\x90", None),
        (b"", None),
        (b"\0\0\0\x18ftypmp42", None),
    ],
    ids=["heic", "pdf", "png", "tiff", "program", "empty", "film"],
)
def test_the_type_is_read_from_the_bytes(data: bytes, kind: str | None) -> None:
    assert picture_kind(data) == kind
    assert flagged("passport.jpg", "", data) is (kind is not None)


@pytest.mark.parametrize("data", [picture()[:n] for n in (2, 3, 10, 21)] + [b"\xff\xd8" + b"\xff\xe0\0\0" * 9000])
def test_a_cut_or_endless_header_has_no_size(data: bytes) -> None:
    assert size_of(data) is None
