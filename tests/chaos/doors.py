"""The services as one client reaches them: it asks one of them until that one fails it, then the next."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from stand import Api, Service, can_connect
from tests.chaos.journal import Missing

_ALONE_SECONDS = 30.0
_SEVERAL_SECONDS = 6.0
"""How long a client waits for an answer where it can ask somebody else."""


class Doors:
    """One project's client of all services. A token of one of them is shown to all.

    Args:
        services: the first of them is asked first.
        known: who logs in, with the fields of credentials.json.
    """

    def __init__(self, services: Sequence[Service], known: Mapping[str, str]) -> None:
        self._services = services
        self._known = known
        self._at = 0
        self.several = len(services) > 1
        seconds = _SEVERAL_SECONDS if self.several else _ALONE_SECONDS
        self._ways = [httpx.Client(base_url=each.url, timeout=seconds, verify=False) for each in services]
        self.log_in()

    def log_in(self) -> None:
        """Get a token, at the service whose turn it is. Raises ClientError."""
        with Api(self._services[self._at], self._known) as api:
            self.api = api
        for way in self._ways:
            way.headers["x-auth-token"] = api.token

    def send(self, method: str, path: str, *, elsewhere: bool = False, **more: Any) -> httpx.Response:
        """Ask the service whose turn it is, or with `elsewhere` the one after it. Raises TransportError."""
        way = self._ways[(self._at + elsewhere) % len(self._ways)]
        return way.request(method, path if path.startswith("/v1/") else self.api.root + path, **more)

    def not_listening(self, address: str, port: int) -> list[Missing]:
        """The services in whose networks nobody listens there; the one whose turn it is has said that all do."""
        now, said = time.time(), self._services[self._at].data_dir.name
        missing = []
        for service in self._services:
            with service.inside():
                if not can_connect(address, port):
                    missing.append(Missing(now, said, service.data_dir.name, f"{address}:{port}"))
        return missing

    def move_on(self) -> None:
        """Ask the next service from here on."""
        self._at = (self._at + 1) % len(self._ways)

    def close(self) -> None:
        for way in self._ways:
            way.close()
