"""Running Tesseract: its table becomes words; a missing, failing or hanging one is named."""

import subprocess
from pathlib import Path

import pytest
from PIL import Image

from vault.errors import UnreadableError
from vault.intake import ocr
from vault.intake.ocr import Words

PICTURE = Image.new("L", (40, 20), 255)


def test_an_empty_batch_starts_no_tesseract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", pytest.fail)

    assert ocr.read([], ocr.LINE) == []


@pytest.mark.parametrize(
    ("script", "code"), [("exit 1", "ocr_failed"), ("exec sleep 9", "ocr_slow")], ids=["fails", "hangs"]
)
def test_a_tesseract_that_fails_or_hangs_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, code: str
) -> None:
    program = tmp_path / "tesseract"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(ocr, "_SECONDS", 0.5)

    with pytest.raises(UnreadableError) as caught:
        ocr.read([PICTURE], ocr.LINE)

    assert caught.value.code == code


TABLE = """level	page_num	block_num	par_num	line_num	word_num	left	top	width	height	conf	text
1	1	0	0	0	0	0	0	40	20	-1	-
5	1	1	1	1	1	0	0	9	9	91.5	Hei
5	1	1	1	1	2	9	0	9	9	62	sinä
5	1	1	1	2	1	0	9	9	9	20	#%
5	2	1	1	1	1	0	0	9	9	88	toinen
"""


@pytest.mark.parametrize(
    ("least", "first"), [(0.0, Words("Hei sinä\n#%", 0.2)), (0.3, Words("Hei sinä", 0.62)), (0.99, Words("", 0.0))]
)
def test_tesseract_s_table_becomes_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, least: float, first: Words
) -> None:
    (tmp_path / "table").write_text(TABLE)
    program = tmp_path / "tesseract"
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/table\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    found = ocr.read([PICTURE] * 3, ocr.LINE, least=least)

    assert found == [first, Words("toinen", 0.88) if least < 0.88 else Words(), Words()]


def test_a_tesseract_without_our_languages_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\nprintf 'List:\\neng\\nosd\\n'\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")

    assert not ocr.is_installed()
