"""Numbers in paths and queries: what is none is 0."""

_LONGEST = 6  # digits


def number_in(value: str | None) -> int:
    """Read a whole number that is not negative; 0 for anything else."""
    fits = value is not None and value.isascii() and value.isdigit() and len(value) <= _LONGEST
    return int(value or "0") if fits else 0
