"""A member for every kind of traffic on one port: HTTP with upgrades to WebSocket, echo over TCP, echo over UDP."""

import asyncio
from typing import Self, cast

from stand import free_port, unused_network

HANDSHAKE_OF_MEMBER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class Member:
    """`/health` answers 200 while `healthy` and 500 otherwise; everything else is always served."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.healthy = True
        self._servers: list[asyncio.Server] = []
        self._datagrams: list[asyncio.DatagramTransport] = []
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def listen(self, port: int) -> None:
        """Serve on another port, too."""
        self._servers.append(await asyncio.start_server(self._serve, self.address, port, backlog=1024))
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(_Echo, local_addr=(self.address, port))
        self._datagrams.append(transport)

    async def die(self) -> None:
        """End as a killed process does: nothing listens any more, and every connection is reset."""
        # A connection is known here a few turns of the loop after it was accepted, if the server is not closed before.
        for listening in (each for server in self._servers for each in server.sockets):
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(5):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        for transport in self._datagrams:
            transport.close()
        for writer in self._connections.values():
            writer.transport.abort()
        await asyncio.gather(*self._connections)
        self._servers.clear()
        self._datagrams.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            first = await reader.readline()
            if first.startswith(b"GET "):
                await self._http(first, reader, writer)
            elif first:
                writer.write(first)
                await _echo(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            del self._connections[task]
            writer.close()

    async def _http(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"upgrade: websocket" in head:
                writer.write(HANDSHAKE_OF_MEMBER)
                await _echo(reader, writer)
                return
            status = b"200 OK" if self.healthy or b"/health" not in line else b"500 Sick"
            body = self.address.encode()
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
            line = await reader.readline()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # What the loop brings along is one only by its methods.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)


class Members:
    """Members on one port and addresses of their own; they serve on the port after it as well."""

    def __init__(self, count: int) -> None:
        network = unused_network().removesuffix("0/24")
        self.addresses = [f"{network}{number + 1}" for number in range(count)]
        self.port = free_port(self.addresses[0])
        self.all = [Member(address) for address in self.addresses]

    @property
    def other_port(self) -> int:
        """Another port on which all of them serve the same."""
        return self.port + 1 if self.port < 65535 else self.port - 1

    async def __aenter__(self) -> Self:
        for member in self.all:
            await member.listen(self.port)
            await member.listen(self.other_port)
        return self

    async def __aexit__(self, *_: object) -> None:
        for member in self.all:
            await member.die()
