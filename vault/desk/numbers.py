"""Numbers in paths and queries: what is none is 0."""

_LONGEST = 6  # digits


def number_in(value: str | None, *, digits: int = _LONGEST) -> int:
    """Read a whole number that is not negative and has at most so many digits; 0 for anything else."""
    fits = value is not None and value.isascii() and value.isdigit() and len(value) <= digits
    return int(value or "0") if fits else 0
