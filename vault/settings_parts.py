"""What every table of the settings is made of: unknown words are refused, and so is a secret within an address."""

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from vault.errors import WrongUseError

_WITH_USER = re.compile(r"://[^/?#]*@")


def _path(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) else value


FilePath = Annotated[Path, BeforeValidator(_path)]


class Part(BaseModel):
    """One table of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Self:
        if any(isinstance(value, str) and _WITH_USER.search(value) for value in vars(self).values()):
            raise WrongUseError("settings_secret", "an address with a password in it is a secret; put it into a file")
        return self
