"""Which servers a mailbox's lines trust: those that the named authority vouches for, else the system's."""

import ssl
from pathlib import Path

from vault.errors import WrongUseError


def trust(ca_file: Path | None, setting: str) -> ssl.SSLContext:
    """Return what judges a server's certificate and name.

    :param setting: the setting that names the file, for the advice.
    :raises WrongUseError: the file can't be read.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError):
        raise WrongUseError("mailbox_ca", f"the authority's file can't be read; correct {setting}") from None
