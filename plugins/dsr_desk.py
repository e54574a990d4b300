"""The way to the desk: Airflow's user is vouched for in a signed assertion that lives a minute.

This module holds no key but the one that signs assertions, and no personal data passes it.
"""

import html
import os
import secrets
import time
from pathlib import Path
from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse

ROLES = frozenset({"dpo", "clinician", "registrar", "auditor", "operator"})
_SECONDS = 60
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Desk</title>
<body style="font-family:sans-serif;margin:2rem"><form method="post" action="{action}" id="enter">
<input type="hidden" name="assertion" value="{assertion}">
<button type="submit" style="font-size:1.1rem;padding:.6rem 1.2rem">Open the desk</button></form>
<script nonce="{nonce}">document.getElementById("enter").submit()</script></body></html>"""


def staff_of(user: GetUserDep) -> dict[str, Any]:
    """Return who Airflow's user is; refuse one without a role at the desk."""
    roles = sorted({role.name for role in getattr(user, "roles", ())} & ROLES)
    if not roles:
        raise HTTPException(status_code=403, detail="Your user has no role at the desk.")
    return {"sub": str(user.get_id()), "name": str(user.get_name()), "roles": roles}


def assertion(staff: dict[str, Any]) -> str:
    """Sign who the user is, for the desk alone, for a minute, for one use (RFC 7519, RFC 8037)."""
    import jwt

    key = Path(os.environ["DSR_ASSERTION_KEY_FILE"]).read_bytes()
    now = int(time.time())
    claims = {**staff, "aud": "dsr-desk", "iat": now, "exp": now + _SECONDS, "jti": secrets.token_hex(16)}
    return jwt.encode(claims, key, algorithm="EdDSA")


app = FastAPI(title="DSR Vault desk", openapi_url=None, docs_url=None, redoc_url=None)


@app.get("/open")
def open_desk(staff: Annotated[dict[str, Any], Depends(staff_of)]) -> HTMLResponse:
    """Hand the browser an assertion to post to the desk; never in a URL."""
    url = os.environ["DSR_DESK_URL"]
    nonce = secrets.token_urlsafe(16)
    page = _PAGE.format(
        action=html.escape(f"{url}/session", quote=True), assertion=html.escape(assertion(staff)), nonce=nonce
    )
    policy = f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; form-action {url}"
    return HTMLResponse(page, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})


class DeskPlugin(AirflowPlugin):
    """Puts the desk into the navigation."""

    name = "dsr_desk"
    fastapi_apps: list[Any] = [{"app": app, "url_prefix": "/desk", "name": "DSR Vault desk"}]  # noqa: RUF012 - Airflow's base declares it so
    external_views: list[Any] = [  # noqa: RUF012 - Airflow's base declares it so
        {
            "name": "Desk",
            "href": "/desk/open",
            "destination": "nav",
            "url_route": "desk",
            "nav_top_level": True,
        }
    ]
