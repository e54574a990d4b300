"""How long properties are tried: a moment in `make test`, at length in `make fuzz`; never against the clock.

`make test` tries the same examples in the same shuffled order each time, so that what it says of a change is
the change's; `make fuzz` looks for new ones.
"""

import os

from hypothesis import settings

settings.register_profile("test", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))
