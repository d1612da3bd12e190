"""The six kinds of traffic: clients that ask on and on and know what became of each request."""

import asyncio
import base64
import os
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, cast

from tests.hitless.fates import Failed, Fates
from tests.tls_client import V, client_context

Place = tuple[str, int]

PATIENCE: Final = 10.0
"""Seconds after which a request without an answer has failed."""

DATAGRAM_PATIENCE: Final = 5.0

PAUSE: Final = 0.02
"""Seconds between two requests of a client: the load is steady, and the machine keeps up with it."""


class Connection:
    """A connection on which one request follows the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, place: Place, tls: ssl.SSLContext | None = None) -> "Connection":
        async with asyncio.timeout(PATIENCE):
            return cls(*await asyncio.open_connection(*place, ssl=tls))

    async def ask_http(self, path: str = "/", more: str = "") -> bool:
        """One request; whether the connection may be used on. Raises what a client would see."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: hitless.test\r\n{more}\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            head = await self._reader.readuntil(b"\r\n\r\n")
            status = head.split(b" ", 2)[1]
            lowered = head.lower()
            if status == b"101":
                return True
            length = int(lowered.partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await self._reader.readexactly(length)
        if status != b"200":
            raise Failed(f"{status.decode()} {body.decode(errors='replace')}")
        return b"\r\nconnection: close" not in lowered

    async def ask_echo(self, data: bytes) -> None:
        self._writer.write(data)
        async with asyncio.timeout(PATIENCE):
            if await self._reader.readexactly(len(data)) != data:
                raise Failed("something else came back")

    def close(self) -> None:
        self._writer.transport.abort()


async def http_kept(place: Place, fates: Fates, pause: float, tls: ssl.SSLContext | None = None) -> None:
    """Requests over one connection; another is opened only when the server has said that this one is at its end."""
    connection: Connection | None = None
    try:
        while True:
            goes_on = False
            async with fates.request():
                connection = connection or await Connection.open(place, tls)
                goes_on = await connection.ask_http()
                fates.farewells += not goes_on
            if not goes_on and connection is not None:
                connection.close()
                connection = None
            await asyncio.sleep(pause)
    finally:
        if connection is not None:
            connection.close()


async def http_new(place: Place, fates: Fates, pause: float, tls: ssl.SSLContext | None = None) -> None:
    """A connection for each request."""
    while True:
        async with fates.request():
            connection = await Connection.open(place, tls)
            try:
                await connection.ask_http()
            finally:
                connection.close()
        await asyncio.sleep(pause)


async def tcp(place: Place, fates: Fates, pause: float) -> None:
    """Lines that come back, over one connection that is never to end."""
    await _echoing(place, fates, pause, lambda number: b"line %d\n" % number, None)


async def tcp_new(place: Place, fates: Fates, pause: float) -> None:
    """A connection for each line."""
    while True:
        async with fates.request():
            connection = await Connection.open(place)
            try:
                await connection.ask_echo(b"line\n")
            finally:
                connection.close()
        await asyncio.sleep(pause)


async def websocket(place: Place, fates: Fates, pause: float) -> None:
    """Frames of text that come back, over one connection that is never to end."""
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" + f"Sec-WebSocket-Key: {key}\r\n"
    )
    await _echoing(place, fates, pause, _frame, upgrade)


async def _echoing(
    place: Place, fates: Fates, pause: float, message: Callable[[int], bytes], upgrade: str | None
) -> None:
    connection: Connection | None = None
    number = 0
    try:
        while True:
            number += 1
            went_well = False
            async with fates.request():
                if connection is None:
                    connection = await Connection.open(place)
                    if upgrade is not None:
                        await connection.ask_http("/socket", upgrade)
                await connection.ask_echo(message(number))
                went_well = True
            if not went_well and connection is not None:
                connection.close()
                connection = None
            await asyncio.sleep(pause)
    finally:
        if connection is not None:
            connection.close()


def _frame(number: int) -> bytes:
    """A masked frame of text (RFC 6455, 5.2) with fewer than 126 bytes; the mask of zeros leaves the text as it is."""
    text = b"message %d" % number
    return bytes((0x81, 0x80 | len(text))) + bytes(4) + text


async def udp(place: Place, fates: Fates, pause: float) -> None:
    """Datagrams that come back, from one client port and so of one session."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(_Datagrams, remote_addr=place)
    number = 0
    try:
        while True:
            number += 1
            async with fates.request():
                await protocol.ask(b"datagram %d" % number)
            await asyncio.sleep(pause)
    finally:
        transport.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self._waiting: dict[bytes, asyncio.Future[None]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # What the loop brings along is one only by its methods.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, _addr: object) -> None:
        if data in self._waiting and not self._waiting[data].done():
            self._waiting[data].set_result(None)

    def error_received(self, exc: Exception) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(exc)

    async def ask(self, data: bytes) -> None:
        future = self._waiting[data] = asyncio.get_running_loop().create_future()
        self._transport.sendto(data)
        try:
            async with asyncio.timeout(DATAGRAM_PATIENCE):
                await future
        finally:
            del self._waiting[data]


async def https(place: Place, fates: Fates, pause: float) -> None:
    """Kept connections and new ones, over TLS."""
    context = client_context(None, version=V.TLSv1_2)
    async with asyncio.TaskGroup() as both:
        both.create_task(http_kept(place, fates, pause, context))
        both.create_task(http_new(place, fates, pause, context))


KINDS: Final = {
    "HTTP kept": http_kept,
    "HTTP new": http_new,
    "TCP": tcp,
    "WebSocket": websocket,
    "UDP": udp,
    "HTTPS": https,
}

_ALL: Final = KINDS | {"TCP new": tcp_new}


class Load:
    """Steady traffic of all kinds on its places until it is stopped.

    Args:
        places: where each kind goes.
        clients: how many of each kind ask at once.
    """

    def __init__(self, places: Mapping[str, Place], clients: int, pause: float = PAUSE) -> None:
        self.fates = {kind: Fates(kind) for kind in places}
        self._stopping = False
        self._tasks = [
            asyncio.create_task(_ALL[kind](place, self.fates[kind], pause), name=kind)
            for kind, place in places.items()
            for _ in range(clients)
        ]

    async def more(self, count: int) -> None:
        """Wait until that many more requests of each kind have ended."""
        wanted = {kind: each.answered + len(each.failures) + count for kind, each in self.fates.items()}
        while any(each.answered + len(each.failures) < wanted[kind] for kind, each in self.fates.items()):
            self._look()
            await asyncio.sleep(0.01)

    async def settled(self) -> None:
        """Wait until all requests that are under way now have ended, whatever their end."""
        waited_for = {kind: set(each.under_way) for kind, each in self.fates.items()}
        while any(waited_for[kind] & each.under_way for kind, each in self.fates.items()):
            self._look()
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End all clients; requests that are under way are not counted."""
        self._look()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def _look(self) -> None:
        for task in self._tasks:
            if task.done():
                task.result()
