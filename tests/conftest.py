"""How long properties are tried: a moment in `make test`, at length in `make fuzz`; never against the clock."""

import os

from hypothesis import settings

settings.register_profile("test", deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))
