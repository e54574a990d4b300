"""Settings of the key service, and of what holds the root keys: a key file, AWS KMS, or a PKCS#11 token."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from vault.errors import WrongUseError
from vault.settings_parts import FilePath, Part

RootNumber = Annotated[int, Field(ge=1, lt=2**32)]
# an alias is no name for a root: it can be pointed at another key behind our back
KmsKey = Annotated[str, Field(pattern=r"^(arn:[\w-]+:kms:[\w-]+:\d+:key/)?[0-9A-Za-z-]+$")]


class KmsSettings(Part):
    """AWS KMS: which of its keys are roots, and which index under which label."""

    region: str
    roots: dict[RootNumber, KmsKey] = Field(min_length=1)
    primary: RootNumber
    macs: dict[str, KmsKey]
    bundle_file: FilePath
    log_signer: RootNumber = 1
    endpoint: str | None = None
    access_key_file: FilePath | None = None
    secret_key_file: FilePath | None = None

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.primary not in self.roots:
            raise WrongUseError("custody_primary", "keys.kms.primary names no key of keys.kms.roots; add it there")
        if len({*self.roots.values(), *self.macs.values()}) != len(self.roots) + len(self.macs):
            raise WrongUseError("custody_key_twice", "give each root and each MAC label in [keys.kms] a key of its own")
        if (self.access_key_file is None) != (self.secret_key_file is None):
            advice = "set both keys.kms.access_key_file and keys.kms.secret_key_file, or neither"
            raise WrongUseError("custody_credentials", advice)
        return self


class Pkcs11Settings(Part):
    """A PKCS#11 token: the module that speaks to it, its label and PIN."""

    module: FilePath
    token: str = Field(min_length=1)
    pin_file: FilePath
    primary: RootNumber = 1
    log_signer: RootNumber = 1
    bundle_file: FilePath


class KeySettings(Part):
    """The key service's socket, the files with each office's token, and what holds the root keys."""

    socket: FilePath
    token_files: dict[str, FilePath]
    custody: Literal["local", "aws-kms", "pkcs11"] = "local"
    key_file: FilePath | None = None
    passphrase_file: FilePath | None = None
    audit_file: FilePath | None = None
    ledger_file: FilePath | None = None
    kms: KmsSettings | None = None
    pkcs11: Pkcs11Settings | None = None

    @model_validator(mode="after")
    def _one_holder(self) -> Self:
        given = {"local": self.key_file or self.passphrase_file, "aws-kms": self.kms, "pkcs11": self.pkcs11}
        others = [_HOLDER_PARTS[name] for name, part in given.items() if part and name != self.custody]
        if others:
            advice = f"keys.custody is {self.custody}: take {' and '.join(others)} out of the settings, or change it"
            raise WrongUseError("custody_mixed", advice)
        if self.custody != "local" and not given[self.custody]:
            advice = f"keys.custody is {self.custody}: add the table {_HOLDER_PARTS[self.custody]}"
            raise WrongUseError("custody_incomplete", advice)
        return self


_HOLDER_PARTS = {"local": "key_file and passphrase_file", "aws-kms": "[keys.kms]", "pkcs11": "[keys.pkcs11]"}
