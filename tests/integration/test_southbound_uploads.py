"""Uploads beside a member that cannot be reached: what is kept of them goes to another member."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from equipoise.proxy.model import ServedProtocol
from tests.integration.southbound import DEADLINE_SECONDS, a_listener, a_stand, desired, free_port, own_address

UPLOADS = 20
KEPT = 1024 * 1024
"""Bytes of a body that are kept to be sent again."""


@asynccontextmanager
async def taking(address: str) -> AsyncIterator[int]:
    """A member that answers each upload with its size, once it has all of it; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(head.partition(b"content-length: ")[2].split()[0])
                taken = str(len(await reader.readexactly(size))).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(taken), taken))
        writer.close()

    async with await asyncio.start_server(serve, address, 0, limit=2 * KEPT, backlog=UPLOADS) as server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


@contextmanager
def rejecting(_address: str, _port: int) -> Iterator[None]:
    """Nobody listens there."""
    yield


@contextmanager
def silent(address: str, port: int) -> Iterator[None]:
    """Whoever wants to connect there is not answered: Linux drops the first packet where nobody accepts."""
    with socket.create_server((address, port), backlog=0), socket.create_connection((address, port)):
        yield


@asynccontextmanager
async def uploads_to(folder: Path, *unreachable: str) -> AsyncIterator[tuple[str, int, int]]:
    """Address and port of a listener with a member that takes uploads and these, and the port of its members."""
    good, vip = own_address(), own_address()
    async with taking(good) as backend_port, a_stand(folder) as stand:
        port = free_port(vip)
        listener = a_listener("l", port, backend_port, [good, *unreachable], protocol=ServedProtocol.HTTP)
        await stand.publish(desired("lb", 1, vip, listener))
        yield vip, port, backend_port


async def upload(vip: str, port: int, size: int) -> int:
    """The status of the answer. The body is sent as fast as it is taken, and to its end if nobody answers before."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        reader, writer = await asyncio.open_connection(vip, port)
        writer.write(b"PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        status = int((await reader.readuntil(b"\r\n")).split()[1])
        answer = await reader.readuntil(b"\r\n\r\n")
        if status == 200:
            length = int(answer.lower().partition(b"content-length: ")[2].split()[0])
            assert await reader.readexactly(length) == str(size).encode()
        writer.transport.abort()
        return status


async def statuses(vip: str, port: int, size: int, count: int = UPLOADS) -> Counter[int]:
    return Counter(await asyncio.gather(*(upload(vip, port, size) for _ in range(count))))


@pytest.mark.parametrize("unreachable", [rejecting, silent])
@pytest.mark.parametrize("size", [250_000, 1_000_000])
async def test_uploads_beside_a_member_that_cannot_be_reached_go_to_another(
    tmp_path: Path, unreachable: Callable[[str, int], AbstractContextManager[None]], size: int
) -> None:
    dead = own_address()
    async with uploads_to(tmp_path, dead) as (vip, port, backend_port):
        with unreachable(dead, backend_port):
            assert await statuses(vip, port, size) == {200: UPLOADS}


async def test_longer_uploads_go_on_where_connections_are_refused(tmp_path: Path) -> None:
    async with uploads_to(tmp_path, own_address()) as (vip, port, _):
        assert await statuses(vip, port, 20 * KEPT, 4) == {200: 4}


async def test_longer_uploads_to_a_silent_member_still_fail(tmp_path: Path) -> None:
    """What docs/explanation/traffic.md says of them. An Envoy that can do more changes this, and the page with it."""
    dead = own_address()
    async with uploads_to(tmp_path, dead) as (vip, port, backend_port):
        with silent(dead, backend_port):
            assert (await statuses(vip, port, 4 * KEPT, 4)).keys() == {200, 503}
