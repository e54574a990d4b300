"""The witness's one web address: ``POST /add-checkpoint``; it tells nothing but sizes, codes and cosignatures."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from vault.accesslog.witness.protocol import LONGEST_REQUEST, PATH, Reply, refuse
from vault.accesslog.witness.service import WitnessService
from vault.errors import VaultError, WrongUseError

BODY_SECONDS: Final = 10.0  # for the whole of a request's body
MOST_AT_ONCE: Final = 64  # requests
_LOG = logging.getLogger("vault.witness")


def create_app(service: WitnessService) -> Starlette:
    """Make the application."""
    return Starlette(routes=[Route(PATH, _answering(service), methods=["POST"])])


def serve(service: WitnessService, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    :param port: 0 takes any that is free.
    :param ready: is told the port as soon as it listens.
    :raises WrongUseError: the address can't be listened on.
    """
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        advice = f"the address can't be listened on ({error.strerror}); choose another --host or --port"
        raise WrongUseError("witness_address", advice) from None
    config = uvicorn.Config(
        create_app(service),
        access_log=False,
        log_level="warning",
        server_header=False,
        limit_concurrency=MOST_AT_ONCE,
        timeout_keep_alive=90,
        timeout_graceful_shutdown=5,
    )
    with listener:
        ready(listener.getsockname()[1])
        uvicorn.Server(config).run(sockets=[listener])


def _answering(service: WitnessService) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        reply = await _reply(service, request)
        return Response(reply.body, reply.status, {"Content-Type": reply.media_type, "Cache-Control": "no-store"})

    return answer


async def _reply(service: WitnessService, request: Request) -> Reply:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            data = await _body(request)
    except TimeoutError:
        return refuse(HTTPStatus.REQUEST_TIMEOUT, "request_slow")
    except ClientDisconnect:
        return refuse(HTTPStatus.BAD_REQUEST, "request_cut")
    if data is None:
        return refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request_large")
    try:
        reply = await run_in_threadpool(service.add_checkpoint, data)
    except VaultError as error:
        _LOG.warning("%s: %s", error.code, error.advice)
        return refuse(HTTPStatus.SERVICE_UNAVAILABLE, error.code)
    if reply.status != HTTPStatus.OK:
        _LOG.info("answered %d %s", reply.status, reply.body.decode("ascii").strip())
    return reply


async def _body(request: Request) -> bytes | None:
    """Read the body; None where it is longer than any request."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > LONGEST_REQUEST:
            return None
    return bytes(data)
