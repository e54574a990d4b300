"""What every answer of the desk tells the browser: run nothing, load nothing foreign, keep nothing."""

from collections.abc import Awaitable, Callable

from fastapi import Request, Response

from vault.desk.visit import Desk

Following = Callable[[Request], Awaitable[Response]]
_PAGE = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors {frames}"
)
# A browser's own PDF viewer is built of styles and scripts that default-src would stop.
_PDF = "base-uri 'none'; form-action 'none'; frame-ancestors {frames}"


def with_headers(desk: Desk) -> Callable[[Request, Following], Awaitable[Response]]:
    """Make what adds the headers; Airflow, which shows the desk in its own page, may frame it."""
    frames = f"'self' {desk.parts.settings.desk.airflow_url}"
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        # no-referrer would make browsers send `Origin: null` with our own forms, and the check could tell nothing
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    if desk.secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"

    async def add(request: Request, following: Following) -> Response:
        response = await following(request)
        is_pdf = response.headers.get("content-type") == "application/pdf"
        response.headers["Content-Security-Policy"] = (_PDF if is_pdf else _PAGE).format(frames=frames)
        for name, value in headers.items():
            response.headers[name] = value
        return response

    return add
