"""The operation on metrics for Prometheus, and who may ask: they tell of all projects, which no user's token may."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Iterable
from enum import StrEnum
from ipaddress import ip_address
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from equipoise.core.errors import TokenMissing
from equipoise.http.routing import Operation
from equipoise.metrics.exposition import CONTENT_TYPE
from equipoise.metrics.page import MetricsPage
from equipoise.store.database import Database, StoreUnavailable
from equipoise.store.jobs import queries

PATH: Final = "/metrics"

_PIECE: Final = 64 * 1024
"""Characters that are handed to the client at once, at least."""

_OF_PROXIES: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class Access(StrEnum):
    """Who may ask (`metrics.access`)."""

    LOCAL = "local"
    TOKEN = "token"  # noqa: S105 - a name
    OPEN = "open"


class MetricsHandler:
    """Handler of the operation.

    Args:
        token: what collectors send as `Authorization: Bearer`.
    """

    def __init__(self, database: Database, page: MetricsPage, access: Access, token: str) -> None:
        self._database = database
        self._page = page
        self._access = access
        self._token = token.encode()

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [
            Operation(
                "showMetrics",
                "GET",
                PATH,
                self.show,
                "Show the metrics of the service for Prometheus",
                produces=("text/plain",),
                answer=str,
                open=True,
                errors=(401,),
            )
        ]

    async def show(self, request: Request) -> Response:
        """The page, from memory but for the number of unfinished jobs."""
        if not self._may_read(request):
            raise TokenMissing(
                "Send the token of metrics.token in the data directory as Authorization: Bearer TOKEN, or ask from the "
                "machine itself (setting metrics.access).",
                challenge='Bearer realm="metrics"',
            )
        try:
            unfinished = await self._database.read(queries.unfinished_by_type)
        except StoreUnavailable:
            # Metrics are wanted most of all when something is down.
            unfinished = None
        return StreamingResponse(_in_pieces(self._page.lines(unfinished)), media_type=CONTENT_TYPE)

    def _may_read(self, request: Request) -> bool:
        if self._access is Access.OPEN or self._has_token(request):
            return True
        return self._access is Access.LOCAL and _is_local(request)

    def _has_token(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token)


async def _in_pieces(lines: Iterable[str]) -> AsyncIterator[bytes]:
    """In pieces of some size, with a turn of the event loop for others after each: all may be many megabytes."""
    piece: list[str] = []
    size = 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size > _PIECE:
            yield "".join(piece).encode()
            piece, size = [], 0
            await asyncio.sleep(0)
    yield "".join(piece).encode()


def _is_local(request: Request) -> bool:
    """Whether somebody on this machine asks, for no one else.

    The name that is asked for counts too: in a browser on this machine any site may make a name of its own lead here.
    """
    if request.client is None or not _is_loopback(request.client.host):
        return False
    if any(name in request.headers for name in _OF_PROXIES):
        return False
    host = request.url.hostname or ""
    return host == "localhost" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
