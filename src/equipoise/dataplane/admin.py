"""Asking a running Envoy over its admin socket. What the answers mean is known to those who ask."""

from pathlib import Path

import httpx

from equipoise.unix_path import short_path

_TIMEOUT_SECONDS = 5.0


class AdminUnavailableError(Exception):
    """Envoy is not there, or does not answer as it should."""


class EnvoyAdmin:
    """Reads from the admin socket at `socket_path`, which may be longer than a socket address."""

    def __init__(self, socket_path: Path) -> None:
        self._socket_path = socket_path

    async def read(self, path: str) -> str:
        """Return what Envoy shows at `path`. Raises AdminUnavailableError."""
        try:
            with short_path(self._socket_path) as socket:
                transport = httpx.AsyncHTTPTransport(uds=socket)
                async with httpx.AsyncClient(transport=transport, timeout=_TIMEOUT_SECONDS) as client:
                    response = await client.get(f"http://envoy{path}")
                    return response.raise_for_status().text
        except (OSError, httpx.HTTPError) as error:
            raise AdminUnavailableError(f"Envoy does not answer on {self._socket_path}: {error}") from error
