"""Clients for benchmarks: the API's client over the transport that costs least, and the bodies that benchmarks send."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import cycle, islice
from typing import Any, Final

from equipoise.client import ApiRequest, ApiResponse, AsyncClient, Client, LeanTransport, Login
from stand import Service

LOAD_BALANCER: Final[Mapping[str, Any]] = {
    "name": "bench",
    "vpc_id": "bench",
    "type": "External",
    "bandwidth": 100,
    "admin_state_up": 1,
}


class BenchmarkError(Exception):
    """The service answered something that makes a figure worthless."""


def logged_in(service: Service) -> Client:
    """A client of the administrator's project; close it."""
    client = Client(LeanTransport(service.url), Login.of(service.credentials()))
    client.log_in()
    return client


class Connection:
    """A transport that costs less than any library: one kept connection, and answers that have a length or no body,
    which are all that are asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, request: ApiRequest) -> ApiResponse:
        content = request.content or b""
        lines = [f"{request.method} {request.path} HTTP/1.1", "Host: bench", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        self._writer.write("\r\n".join([*lines, "\r\n"]).encode() + content)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        return ApiResponse(int(head.split(b" ", 2)[1]), {}, await self._reader.readexactly(length))

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class Stand:
    """A service under load, and who is logged in to it."""

    def __init__(self, service: Service, client: Client) -> None:
        self.service = service
        self._client = client

    async def connected(self) -> AsyncClient:
        """Another client with a connection of its own; close it."""
        streams = await asyncio.open_connection(self.service.host, self.service.port)
        found = AsyncClient(Connection(*streams), self._client.login)
        found.token = self._client.token
        return found


async def times_a_second(
    stands: Sequence[Stand], act: Callable[[AsyncClient], Awaitable[object]], clients: int, seconds: float
) -> float:
    """How often in a second so many clients do this, each over one connection and again when it is done.

    Args:
        stands: the clients are spread over them.
    """
    done = 0
    deadline = time.perf_counter() + seconds

    async def one_client(stand: Stand) -> None:
        nonlocal done
        async with await stand.connected() as client:
            while time.perf_counter() < deadline:
                await act(client)
                done += 1

    started = time.perf_counter()
    await asyncio.gather(*(one_client(stand) for stand in islice(cycle(stands), clients)))
    return done / (time.perf_counter() - started)


def create_load_balancer(client: Client) -> str:
    """The id of a new load balancer, in force."""
    return str(client.create_load_balancer(LOAD_BALANCER).entities["elb"]["id"])


def create_listener(client: Client, load_balancer_id: str) -> str:
    """The id of a new listener, in force."""
    created = client.create_listener(load_balancer_id, name="bench", protocol="HTTP", port=8080, backend_port=9000)
    if created["status"] != "ACTIVE":
        raise BenchmarkError(f"Listener {created['id']} is {created['status']}, not in force.")
    return str(created["id"])
