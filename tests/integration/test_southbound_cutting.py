"""Which connections are cut, and which are not: counted connections through a real Envoy."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from equipoise.node.cutting import EnvoyCutter
from tests.integration.southbound import (
    DEADLINE_SECONDS,
    Stand,
    a_listener,
    a_stand,
    desired,
    free_port,
    free_ports,
    own_address,
    until,
)
from tests.proxies import Served

HELD = 12


class Echo:
    """A member that sends back what it gets, and knows how many connections it has."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.open = 0
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, self.address, port)
        own_port: int = self._server.sockets[0].getsockname()[1]
        return own_port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while data := await reader.read(100):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            writer.close()


class Held:
    """A connection through the load balancer that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str, port: int) -> "Held":
        held = cls(*await asyncio.open_connection(address, port))
        assert await held.works()
        return held

    async def works(self) -> bool:
        try:
            self._writer.write(b"x")
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await self._reader.read(1) == b"x"
        except ConnectionError:
            return False

    async def end(self) -> bytes:
        """What comes until the other side ends it."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await self._reader.read()
        except ConnectionError:
            return b""

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def holding(address: str, port: int, count: int = HELD) -> AsyncIterator[list[Held]]:
    connections = [await Held.open(address, port) for _ in range(count)]
    try:
        yield connections
    finally:
        for each in connections:
            await each.close()


async def working(connections: Iterable[Held]) -> int:
    return sum([await each.works() for each in connections])


@asynccontextmanager
async def two_members() -> AsyncIterator[tuple[int, Echo, Echo]]:
    members = Echo(own_address()), Echo(own_address())
    port = await members[0].start()
    await members[1].start(port)
    try:
        yield port, *members
    finally:
        for member in members:
            await member.stop()


async def serve(stand: Stand, generation: int, address: str, *listeners: Served) -> None:
    stand.ads.publish([desired("lb", generation, address, *listeners)])
    await stand.confirmed("lb", generation)
    assert stand.recorder.rejections == []


def cutter_of(stand: Stand) -> EnvoyCutter:
    return EnvoyCutter(lambda: stand.envoy.pids)


async def test_only_connections_of_that_listener_to_that_member_are_cut(tmp_path: Path) -> None:
    async with a_stand(tmp_path) as stand, two_members() as (port, gone, stays):
        vip = own_address()
        ports = free_ports(vip, 2)
        both = [gone.address, stays.address]
        one, other = (a_listener(f"l{n}", each, port, both) for n, each in enumerate(ports))
        await serve(stand, 1, vip, one, other)
        async with holding(vip, ports[0]) as cut, holding(vip, ports[1]) as kept:
            to_gone, to_stays = gone.open, stays.open
            assert to_gone + to_stays == 2 * HELD
            await serve(stand, 2, vip, replace(one, members=(stays.address,)), other)
            assert await working(cut) == HELD

            assert cutter_of(stand).unavailable_reason() is None
            count = await cutter_of(stand).cut("l0", {gone.address})

            await until(lambda: gone.open == to_gone - count)
            assert 0 < count < HELD
            assert await working(cut) == HELD - count
            assert await working(kept) == HELD
            assert stays.open == to_stays


async def test_the_client_sees_the_end_of_an_idle_connection_that_is_cut(tmp_path: Path) -> None:
    async with a_stand(tmp_path) as stand, two_members() as (port, member, _):
        vip = own_address()
        listener = a_listener("l", free_port(vip), port, [member.address])
        await serve(stand, 1, vip, listener)
        async with holding(vip, listener.port, 1) as [held]:
            assert await cutter_of(stand).cut("l", [member.address]) == 1
            assert await held.end() == b""


async def test_a_connection_that_is_just_being_opened_is_cut_too(tmp_path: Path) -> None:
    async with a_stand(tmp_path) as stand:
        vip, address = own_address(), own_address()
        with closing(socket.socket()) as full, closing(socket.socket()) as filler:
            full.bind((address, 0))
            full.listen(0)
            filler.connect(full.getsockname())
            listener = a_listener("l", free_port(vip), full.getsockname()[1], [address])
            await serve(stand, 1, vip, listener)
            _, writer = await asyncio.open_connection(vip, listener.port)
            table = Path(f"/proc/{stand.envoy.pid}/net/tcp")
            connecting = f"{int.from_bytes(socket.inet_aton(address), 'little'):08X}:{listener.backend_port:04X} 02"
            await until(lambda: connecting in table.read_text())
            assert await cutter_of(stand).cut("l", [address]) == 1
            writer.close()


async def test_without_an_envoy_nothing_is_in_the_way_but_there_is_nothing_to_cut_either() -> None:
    cutter = EnvoyCutter(tuple)
    assert cutter.unavailable_reason() is None
    with pytest.raises(ProcessLookupError):
        await cutter.cut("l", ["127.0.0.1"])


async def test_a_process_that_may_not_be_touched_is_told_as_an_obstacle(tmp_path: Path) -> None:
    async with a_stand(tmp_path) as stand:
        code = (
            "import os, sys; from equipoise.node.cutting import EnvoyCutter; os.setuid(65534);"
            "print(EnvoyCutter(lambda: [int(sys.argv[1])]).unavailable_reason())"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, str(stand.envoy.pid), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert b"Operation not permitted" in output
        assert b"CAP_SYS_PTRACE" in output


async def test_a_new_idle_time_counts_for_new_connections(tmp_path: Path) -> None:
    async with a_stand(tmp_path) as stand, two_members() as (port, member, _):
        vip = own_address()
        listener = a_listener("l", free_port(vip), port, [member.address])
        await serve(stand, 1, vip, listener)
        async with holding(vip, listener.port, 1) as [before]:
            await serve(stand, 2, vip, replace(listener, idle_timeout=1))
            async with holding(vip, listener.port, 1) as [after]:
                assert await after.end() == b""
            assert await before.works()
