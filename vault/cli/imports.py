"""``dsr register import``: files of another system into our own register, with progress and a report of every gap."""

import gc
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vault.cli.output import Answer, answering
from vault.errors import WrongUseError

if TYPE_CHECKING:
    from vault.register.imports.recipe import Recipe
    from vault.register.imports.refs import KeyedRefs

_SECONDS = 1.0  # between two lines of progress
_SHOWN = 20  # places in an answer without --report


@click.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--format", "form", type=click.Choice(["fhir", "csv"]), default="fhir", show_default=True)
@click.option("--mapping", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="How CSV is read (TOML).")
@click.option("--base", metavar="URL", help="The server's own base URL, where its references are absolute.")
@click.option("--report", "report_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all of it there.")
@click.option("--again", is_flag=True, help="Go through an import that was finished once more.")
@answering
def import_(
    path: Path, *, form: str, mapping: Path | None, base: str | None, report_file: Path | None, again: bool
) -> Answer:
    """Take patients and their records from FHIR R4 files or CSV; the same again changes nothing."""
    from vault.office import open_office
    from vault.register.imports.inputs import Files
    from vault.register.imports.people import People
    from vault.register.imports.refs import KeyedRefs
    from vault.register.imports.run import Import, report

    gc.set_threshold(100_000)  # parsed resources hold no rings; looking for them costs an eighth of the time
    with open_office("registry") as parts:
        if parts.settings.register.kind != "own":
            raise WrongUseError("register_elsewhere", "this installation's register is a FHIR server; import there")
        refs = KeyedRefs(parts.service, base or "")
        recipe = _recipe(form, mapping, base, refs)
        files = Files(path, recipe.form)
        people = People(parts.database, parts.service, refs)
        run = Import(files, recipe, people, now=parts.now, progress=Progress())
        outcome = run.run(again=again)
        told = dict(report(outcome, run.table.refusals(), len(files.paths)))
        places = told.pop("places")
        if report_file is not None:
            _write(report_file, told, places)
        else:
            told["places"] = [place for place, _ in zip(places, range(_SHOWN), strict=False)]
    return Answer(told, _lines(told), ok=bool(told["ok"]))


def _recipe(form: str, mapping: Path | None, base: str | None, refs: "KeyedRefs") -> "Recipe":
    from vault.register.imports.fhir import FhirRecipe
    from vault.register.imports.mapping import read_mapping
    from vault.register.imports.tables import CsvRecipe

    if form == "fhir":
        if mapping is not None:
            raise WrongUseError("mapping_unused", "a mapping file is for --format csv")
        return FhirRecipe(refs, base)
    if mapping is None:
        raise WrongUseError("mapping_missing", "CSV needs --mapping FILE; docs/formats/import.md has an example")
    return CsvRecipe(refs, read_mapping(mapping))


class Progress:
    """Says on standard error how far an import is, about once a second."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, phase: str, items: int, persons: int) -> None:
        """Say it, if the last time is long enough ago."""
        if time.monotonic() - self._last >= _SECONDS:
            self._last = time.monotonic()
            words = f"{items} items read" if phase == "index" else f"{items} items of {persons} patients stored"
            click.echo(words, err=True)


def _write(file: Path, told: dict[str, Any], places: Iterator[dict[str, Any]]) -> None:
    """Write the report as one JSON object, its places one a line, so that memory stays flat."""
    head = json.dumps(told, indent=2).removesuffix("\n}")
    with file.open("w", encoding="utf-8") as out:
        out.write(f'{head},\n  "places": [')
        for number, place in enumerate(places):
            out.write(f"{',' if number else ''}\n    {json.dumps(place)}")
        out.write("\n  ]\n}\n")


def _lines(told: dict[str, Any]) -> list[str]:
    lines = ["this input was imported before; nothing was done"] if told["before"] else []
    for name in ("read", "written", "kept", "missing", "others", "refused"):
        lines += [f"{name:8} {count:>9}  {what}" for what, count in told[name].items()]
    if told["refused"]:
        lines.append("something was left out: file and number of each place stand in the report (--report FILE)")
    return lines or ["nothing to import"]
