"""``dsr register honey``: mark invented patients, so that whoever looks at them rings."""

import click

from vault.cli.output import Answer, answering
from vault.office import open_office
from vault.steps import honey as step


@click.group()
def honey() -> None:
    """Mark invented patients: any look at one raises an alarm, and is not stopped."""


@honey.command()
@click.argument("ref")
@answering
def add(ref: str) -> Answer:
    """Mark the subject REF, an invented patient whom you have put on the register before."""
    with open_office("registry") as parts:
        fresh = step.add(parts, ref)
    return Answer({"subject": ref, "added": fresh}, [f"{ref} is watched" if fresh else f"{ref} was watched already"])


@honey.command("list")
@answering
def list_() -> Answer:
    """Tell which subjects are marked; every subject's mark is made anew for that, because only marks are stored."""
    with open_office("registry") as parts:
        found, strays = step.marked(parts)
    lines = [*found, *([f"{strays} more fit no subject of our own register"] if strays else [])]
    return Answer({"subjects": found, "strays": strays}, lines or ["nobody is watched"])


@honey.command()
@click.argument("ref")
@answering
def remove(ref: str) -> Answer:
    """Take the mark off the subject REF."""
    with open_office("registry") as parts:
        gone = step.remove(parts, ref)
    return Answer(
        {"subject": ref, "removed": gone}, [f"{ref} is no longer watched" if gone else f"{ref} had no mark"], gone
    )
