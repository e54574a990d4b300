"""``dsr package``: check a package that was handed over, without any service or key of ours."""

import sys
from pathlib import Path

import click

from vault.cli.output import Answer, answering
from vault.errors import WrongUseError


@click.group()
def package() -> None:
    """Check answer packages."""


@package.command()
@click.argument("path", metavar="FILE_OR_DIR", type=click.Path(path_type=Path))
@click.option("--key", metavar="VKEY", help="The signer's verifier key: the manifest must be signed by it.")
@click.option(
    "--passphrase-file",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Holds the passphrase of an encrypted PDF; '-' reads it from standard input.",
)
@answering
def verify(path: Path, key: str | None, passphrase_file: Path | None) -> Answer:
    """Check every file of a package against its manifest."""
    from vault.accesslog.notes import parse_vkey
    from vault.package.verify import verify_package

    signer = parse_vkey(key) if key is not None else None
    verdict = verify_package(path, signer, _passphrase(passphrase_file))
    manifest = verdict.manifest
    shown = None
    if manifest is not None:
        files = [{"name": name, "sha256": sha256, "size": size} for name, (sha256, size) in manifest.files.items()]
        shown = {"case": manifest.case_ref, "version": manifest.version, "draft": manifest.draft, "files": files}
    faults = [{"code": fault.code, "file": fault.file} for fault in verdict.faults]
    lines = [f"{fault.code}: {fault.file or path.name}" for fault in verdict.faults]
    if manifest is not None and verdict.ok:
        lines = [f"{manifest.case_ref}: {len(manifest.files)} files, all as the manifest says"]
    return Answer({"ok": verdict.ok, "manifest": shown, "faults": faults}, lines, verdict.ok)


def _passphrase(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise WrongUseError("passphrase_missing", "the passphrase file can't be read; correct its path") from None
    return text.strip()
