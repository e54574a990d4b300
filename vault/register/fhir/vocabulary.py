"""Names that FHIR R4 itself has for resources and elements: a report may show these and no others.

A name that a file holds beside them may be anything, also somebody's name.
"""

import tomllib
from importlib.resources import files
from typing import Final

_NAMES: Final = tomllib.loads((files("vault.register.fhir") / "vocabulary.toml").read_text(encoding="utf-8"))
RESOURCES: Final[frozenset[str]] = frozenset(_NAMES["resources"].split())
ELEMENTS: Final[frozenset[str]] = frozenset(_NAMES["elements"].split())
