"""A way to PostgreSQL that breaks in the middle of a commit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum, auto


class Fate(Enum):
    """What the server hears of a commit whose answer is lost: all of it, nothing, or nothing while it waits for it."""

    DELIVERED = auto()
    LOST = auto()
    AWAITED = auto()


class Cutting:
    """Stands between a client and the server, and cuts a connection at a commit when it was told to.

    Args:
        port: of the server.
        stays_away: whether nobody can connect any more from then on, until `come_back`.
    """

    def __init__(self, port: int, fate: Fate, *, stays_away: bool = False) -> None:
        self._port = port
        self._fate = fate
        self._stays_away = stays_away
        self._wanted: bytes | None = None
        self.cuts = 0
        self.own_port = 0
        self._may_hang_up = asyncio.Event()
        self._serving: set[asyncio.Task[None] | None] = set()
        self._server: asyncio.Server | None = None

    def arm(self, wanted: bytes = b"") -> None:
        """Cut at the next commit of a transaction in which this was said."""
        self._wanted = wanted

    async def come_back(self) -> None:
        """Take connections, on the same port each time."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.own_port)
        self.own_port = self._server.sockets[0].getsockname()[1]

    def go_away(self) -> None:
        """Take no connections."""
        assert self._server is not None
        self._server.close()

    def hang_up(self) -> None:
        """Let the server learn that the connection has ended on which it waits for a commit."""
        self._may_hang_up.set()

    async def end(self) -> None:
        """Wait until the clients have closed their connections."""
        self.go_away()
        self.hang_up()
        await asyncio.gather(*(task for task in self._serving if task is not None))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        to_server = await asyncio.open_connection("127.0.0.1", self._port)
        answers = asyncio.create_task(self._pass_on(to_server[0], writer))
        said = b""
        while data := await _read(reader):
            said += data
            if b"COMMIT" in data:
                if self._wanted is not None and self._wanted in said:
                    self._wanted = None
                    self.cuts += 1
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                    await self._cut(data, to_server, writer)
                    break
                said = b""
            to_server[1].write(data)
        to_server[1].close()
        writer.close()
        await asyncio.gather(answers, to_server[1].wait_closed(), writer.wait_closed(), return_exceptions=True)

    async def _cut(
        self, data: bytes, to_server: tuple[asyncio.StreamReader, asyncio.StreamWriter], writer: asyncio.StreamWriter
    ) -> None:
        if self._fate is Fate.DELIVERED:
            to_server[1].write(data)
            await to_server[0].read(65536)
        if self._stays_away:
            self.go_away()
        writer.close()
        if self._fate is Fate.AWAITED:
            await self._may_hang_up.wait()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await _read(reader):
            writer.write(data)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """What came, or nothing at the end; who leaves with something unread resets the connection."""
    try:
        return await reader.read(65536)
    except ConnectionResetError:
        return b""


@asynccontextmanager
async def cutting(port: int, fate: Fate, *, stays_away: bool = False) -> AsyncIterator[Cutting]:
    between = Cutting(port, fate, stays_away=stays_away)
    await between.come_back()
    try:
        yield between
    finally:
        await between.end()
