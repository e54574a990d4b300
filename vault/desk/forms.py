"""Forms as browsers send them: small, from the desk's own pages, with the session's token."""

from collections.abc import Collection

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from vault.errors import LimitError, NotAllowedError, RefusedError

_LONGEST = 200_000  # bytes
_MOST_FIELDS = 2_000


async def read_form(request: Request) -> FormData:
    """Read a form.

    :raises LimitError: it is larger than any form of the desk.
    :raises RefusedError: it is none.
    """
    length = request.headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()) or int(length[:12]) > _LONGEST:
        raise LimitError("form_too_large", "write less, and send the form from its own page")
    try:
        return await request.form(max_files=0, max_fields=_MOST_FIELDS)
    except HTTPException:
        raise RefusedError("form_malformed", "open the page again and send its own form") from None


def check_origin(request: Request, allowed: Collection[str]) -> None:
    """Let a form pass that came from one of these pages.

    Browsers name the origin with every form; a program that is none names nothing and has no cookie to misuse.

    :param allowed: origins such as ``https://desk.example``; ``null`` stands for a page that hides its own.
    :raises NotAllowedError: it came from elsewhere.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin.rstrip("/") not in {url.rstrip("/") for url in allowed}:
        raise NotAllowedError("origin_refused", "this form came from another site; open the desk itself")
