"""``dsr form``: write the empty request form: a PDF to print or to fill in on a screen, or lines for a mail."""

import hashlib
from pathlib import Path

import click

from vault import settings
from vault.cli.output import Answer, answering
from vault.errors import WrongUseError
from vault.intake.formpdf import Sender, print_form
from vault.intake.forms import INSPECTION_1
from vault.intake.textform import write_text_form


@click.command("form", short_help="Write the request form as a fillable PDF.")
@click.option("--language", type=click.Choice(INSPECTION_1.languages), default="fi", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The file to write.")
@click.option("--text", is_flag=True, help="Write lines to fill in within a mail, in place of the PDF.")
@answering
def form(language: str, out: Path, text: bool) -> Answer:
    """Write the request form; with settings, it carries the controller's name and address."""
    data = write_text_form(language).encode() if text else print_form(INSPECTION_1, language, _sender())
    try:
        out.write_bytes(data)
    except OSError as error:
        message = f"the form can't be written there ({error.strerror}); choose another --out"
        raise WrongUseError("form_unwritable", message) from None
    digest = hashlib.sha256(data).hexdigest()
    name = INSPECTION_1.payload(language)
    return Answer({"form": name, "file": str(out), "size": len(data), "sha256": digest}, [f"{name}: {out}"])


def _sender() -> Sender:
    """Take the controller from the settings; a form without them is for any controller."""
    try:
        controller = settings.load().controller
    except WrongUseError as error:
        if error.code == "settings_missing":
            return Sender()
        raise
    return Sender(controller.name, tuple(controller.address))
