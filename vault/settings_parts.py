"""What every table of the settings is made of: unknown words are refused, values stay as they were read."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _path(value: object) -> object:
    return Path(value).expanduser() if isinstance(value, str) else value


FilePath = Annotated[Path, BeforeValidator(_path)]


class Part(BaseModel):
    """One table of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)
