"""Asking a running Envoy over its admin socket. What the answers mean is known to those who ask."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from equipoise.unix_path import short_path

_TIMEOUT_SECONDS = 5.0

_PIECE_BYTES: Final = 128 * 1024
"""Answers may have many megabytes: nobody is to hold all of one, nor to read all of it without a pause."""


class AdminUnavailableError(Exception):
    """Envoy is not there, or does not answer as it should."""


class EnvoyAdmin:
    """Reads from the admin socket at `socket_path`, which may be longer than a socket address."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path

    async def read(self, path: str) -> str:
        """Return what Envoy shows at `path`. Raises AdminUnavailableError."""
        return "".join([piece async for piece in self.pieces(path)])

    async def pieces(self, path: str) -> AsyncIterator[str]:
        """Yield what Envoy shows at `path` in pieces of whole lines. Raises AdminUnavailableError."""
        pending = b""
        try:
            async with self._asked(path) as response:
                async for data in response.aiter_bytes(_PIECE_BYTES):
                    whole, newline, rest = data.rpartition(b"\n")
                    if newline:
                        yield (pending + whole + newline).decode()
                        pending = b""
                    pending += rest
        except (OSError, httpx.HTTPError) as error:
            raise AdminUnavailableError(f"Envoy does not answer on {self._socket_path}: {error}") from error
        if pending:
            yield pending.decode()

    @asynccontextmanager
    async def _asked(self, path: str) -> AsyncIterator[httpx.Response]:
        with short_path(self._socket_path) as socket:
            # No TLS is spoken here, and to read all authorities takes longer than Envoy does to answer.
            transport = httpx.AsyncHTTPTransport(uds=socket, verify=False)
            async with (
                httpx.AsyncClient(transport=transport, timeout=_TIMEOUT_SECONDS) as client,
                client.stream("GET", f"http://envoy{path}") as response,
            ):
                yield response.raise_for_status()
