"""``dsr print``: the print role opens letters for the printer, and says when they are in the post."""

from pathlib import Path

import click

from vault.cli.output import Answer, answering
from vault.errors import WrongUseError
from vault.office import open_office
from vault.steps.outbox import mark_posted, open_letters


@click.group()
def prints() -> None:
    """Open letters of the print outbox, and mark them posted."""


@prints.command("open")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1))
@answering
def open_(folder: Path, *, limit: int) -> Answer:
    """Write ready letters into FOLDER as REFERENCE.pdf; each look is logged first."""
    if not folder.is_dir():
        raise WrongUseError("no_folder", "name a folder that is there and that only the printer's account may open")
    with open_office("print") as parts:
        refs = open_letters(parts, folder, limit)
    return Answer({"letters": refs}, refs or ["no letter waits"])


@prints.command()
@click.argument("refs", nargs=-1, required=True)
@answering
def posted(refs: tuple[str, ...]) -> Answer:
    """Record that letters are in the post; their bytes and keys are destroyed."""
    with open_office("print") as parts:
        done = mark_posted(parts, refs)
    missing = sorted(set(refs) - set(done))
    lines = [f"posted: {', '.join(done) or 'none'}", *(f"was not on the printer: {ref}" for ref in missing)]
    return Answer({"posted": done, "not_printed": missing}, lines, ok=not missing)
