"""Claims on published names: what a name holds is decided in the database before a byte of it is put.

Locked buckets take any number of versions under one name and ignore ``If-None-Match``; here a name is
claimed once, whoever races for it.
"""

from collections.abc import Mapping
from typing import LiteralString

from vault.errors import ConflictError
from vault.storage.database import Connection

_GIVEN: LiteralString = "from unnest(%b::text[], %b::bytea[]) as given (name, digest)"


def claim(connection: Connection, digests: Mapping[str, bytes]) -> None:
    """Claim names, each for the bytes of this SHA-256; the same claim again is no fault.

    Whoever calls puts nothing before this transaction has been committed.

    :raises ConflictError: a name is claimed for other bytes.
    """
    names = sorted(digests)  # two publishers wait for each other in one order
    values = (names, [digests[name] for name in names])
    # two statements: the second sees what another publisher committed while the first waited for it
    connection.execute(
        f"insert into log_claims (name, digest) select name, digest {_GIVEN} on conflict do nothing", values
    )
    other = f"select 1 {_GIVEN} join log_claims c using (name) where c.digest <> given.digest limit 1"
    if connection.execute(other, values).fetchone():
        raise ConflictError("log_claim_differs", "a published name is claimed for other bytes; run dsr log verify")
