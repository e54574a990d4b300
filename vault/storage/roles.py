"""The SQL that makes the offices' database roles: verifiers only, never a password (RFC 5802, RFC 7677).

Whoever runs it needs CREATEROLE; the program itself never has it.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from types import MappingProxyType

from vault.errors import WrongUseError

_ITERATIONS = 4096  # PostgreSQL's own; the passwords are random, 256 bits
_SALT_BYTES = 16
# a network that dies silently must not let a session hold its locks: given up after two minutes
KEPT_ALIVE: Mapping[str, int] = MappingProxyType(
    {"tcp_keepalives_idle": 60, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 6}
)


def role_sql(verifiers: Mapping[str, str]) -> str:
    """Write the statements that make these roles, or give those that are there a new password.

    :param verifiers: SCRAM verifiers by role name; both are written by this program.
    """
    return "\n".join(_one(role, verifier) for role, verifier in sorted(verifiers.items()))


def _one(role: str, verifier: str) -> str:
    if not (role.replace("_", "").isalnum() and role.isascii()) or "'" in verifier:
        raise WrongUseError("role_name", "use a-z, 0-9 and _ for the database's name")
    alive = "".join(f'\nalter role "{role}" set {name} = {value};' for name, value in KEPT_ALIVE.items())
    return (
        f"do $$ begin if not exists (select from pg_roles where rolname = '{role}') then "
        f'create role "{role}" nosuperuser nocreatedb nocreaterole noinherit; end if; end $$;\n'
        f"alter role \"{role}\" login password '{verifier}';{alive}"
    )


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """Give what PostgreSQL stores of a password: it checks one and can't be turned back into it.

    :param password: ASCII, as ours are; others would need SASLprep (RFC 4013).
    :raises WrongUseError: it holds other characters.
    """
    if not (password.isascii() and password.isprintable()):
        raise WrongUseError("password_characters", "draw the database passwords from ASCII letters and digits")
    salt = salt if salt is not None else os.urandom(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    stored, served = (base64.b64encode(key).decode() for key in (hashlib.sha256(client).digest(), server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{base64.b64encode(salt).decode()}${stored}:{served}"
