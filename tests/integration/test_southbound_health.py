"""Members fall ill and recover, and it is heard of soon, whatever happens to Envoy and its files."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from equipoise.node.admin import EnvoyAdmin
from equipoise.node.telemetry import health as health_module
from equipoise.node.telemetry.health import HealthObserver
from equipoise.proxy.model import ProxyHealthCheck, ServedProtocol
from tests.integration.southbound import (
    DEADLINE_SECONDS,
    NODE,
    Member,
    Stand,
    a_listener,
    a_stand,
    desired,
    free_port,
    get,
    own_address,
    talk,
    until,
    until_async,
)

LONGER_THAN_KEPT = 5.0
"""Seconds: more than the 4 for which a connection to a member of HTTP is kept without a request."""

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SLOW = {
    "late": (ANSWER,),
    "head in pieces": (ANSWER[:12], ANSWER[12:24], ANSWER[24:]),
    "body in pieces": (ANSWER[:-2], ANSWER[-2:-1], ANSWER[-1:]),
}
"""What a slow page sends, and in which pieces; the time is shared out before them."""


def check(protocol: ServedProtocol, port: int | None = None, threshold: int = 1, timeout: int = 1) -> ProxyHealthCheck:
    path = "/up" if protocol is ServedProtocol.HTTP else None
    return ProxyHealthCheck(protocol, path, port, 1, timeout, 1, threshold)


@dataclass
class Heard:
    health: dict[tuple[str, str], bool] = field(default_factory=dict)

    def __call__(self, changes: Mapping[tuple[str, str], bool]) -> None:
        self.health.update(changes)


@dataclass
class Clinic:
    stand: Stand
    observer: HealthObserver
    heard: Heard
    member: Member
    vip: str
    port: int

    @property
    def key(self) -> tuple[str, str]:
        return "l", self.member.address

    async def publish(self, generation: int, health_check: ProxyHealthCheck | None, protocol: ServedProtocol) -> None:
        listener = a_listener(
            "l", self.port, self.member.port, [self.member.address], protocol=protocol, health_check=health_check
        )
        await self.stand.publish(desired("lb", generation, self.vip, listener))

    async def is_healthy(self, expected: bool) -> None:
        await until(lambda: self.heard.health.get(self.key) is expected)


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[Clinic]:
    member = Member(own_address(), b"web", is_http=True)
    await member.start()
    heard = Heard()
    vip = own_address()
    async with a_stand(tmp_path) as stand:
        observer = HealthObserver(stand.files.health_events, EnvoyAdmin(stand.files.admin_socket), heard)
        await observer.start()
        yield Clinic(stand, observer, heard, member, vip, free_port(vip))
        await observer.stop()
    await member.stop()


# Members of UDP listeners are checked by ourselves (tests/e2e/test_udp.py).
@pytest.mark.parametrize("protocol", [ServedProtocol.TCP, ServedProtocol.HTTP])
async def test_a_member_that_stops_and_returns_is_heard_of(clinic: Clinic, protocol: ServedProtocol) -> None:
    port = clinic.member.port
    await clinic.publish(1, check(protocol), protocol)
    await clinic.is_healthy(True)
    await clinic.member.stop()
    await clinic.is_healthy(False)
    await clinic.member.start(port)
    await clinic.is_healthy(True)
    assert b"web" in await get(clinic.vip, clinic.port)


async def test_a_member_that_was_never_there_is_heard_of(clinic: Clinic) -> None:
    nobody = own_address()
    listener = a_listener("l", clinic.port, 9, [nobody], health_check=check(ServedProtocol.TCP))
    await clinic.stand.publish(desired("lb", 1, clinic.vip, listener))
    await until(lambda: clinic.heard.health.get(("l", nobody)) is False)
    assert await talk(clinic.vip, clinic.port) == b""


async def test_with_every_member_down_http_is_answered_with_503(clinic: Clinic) -> None:
    await clinic.publish(1, check(ServedProtocol.HTTP), ServedProtocol.HTTP)
    await clinic.is_healthy(True)
    clinic.member.status = 500
    await clinic.is_healthy(False)
    assert (await get(clinic.vip, clinic.port)).startswith(b"HTTP/1.1 503 ")


async def test_a_single_bad_status_does_not_take_a_member_out(clinic: Clinic) -> None:
    await clinic.publish(1, check(ServedProtocol.HTTP, threshold=6), ServedProtocol.HTTP)
    await clinic.is_healthy(True)
    clinic.member.status = 500
    seen = len(clinic.member.requests)
    await until(lambda: len(clinic.member.requests) >= seen + 2)
    assert clinic.heard.health[clinic.key]
    await clinic.is_healthy(False)


async def test_a_redirect_is_a_sign_of_life_and_the_check_names_the_member(clinic: Clinic) -> None:
    clinic.member.status = 302
    await clinic.publish(1, check(ServedProtocol.HTTP), ServedProtocol.HTTP)
    await clinic.is_healthy(True)
    assert clinic.member.requests[0].startswith(b"GET /up HTTP/1.1\r\n")
    assert f"host: {clinic.member.address}\r\n".encode() in clinic.member.requests[0].lower()


async def test_another_port_is_checked_under_the_members_own_address(clinic: Clinic) -> None:
    nobody_listens_there = free_port(clinic.member.address)
    await clinic.publish(1, check(ServedProtocol.TCP, port=nobody_listens_there), ServedProtocol.TCP)
    await clinic.is_healthy(False)


@asynccontextmanager
async def slow_page(address: str, pieces: Sequence[bytes], seconds: float) -> AsyncIterator[int]:
    """A member whose answers take so long; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                await asyncio.sleep(seconds / len(pieces))
                writer.write(piece)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, address, 0) as server:
        yield server.sockets[0].getsockname()[1]


# Longer than the idle time of connections to members; Envoy counts a check that waits as idle.
@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW)
@pytest.mark.parametrize("protocol", [ServedProtocol.TCP, ServedProtocol.HTTP])
async def test_a_check_may_take_as_long_as_its_time_out_says(
    clinic: Clinic, protocol: ServedProtocol, pieces: Sequence[bytes]
) -> None:
    slow = own_address()
    async with slow_page(slow, pieces, LONGER_THAN_KEPT) as port:
        slowly = check(ServedProtocol.HTTP, timeout=50)
        listener = a_listener("l", clinic.port, port, [slow], protocol=protocol, health_check=slowly)
        await clinic.stand.publish(desired("lb", 1, clinic.vip, listener))
        await until(lambda: ("l", slow) in clinic.heard.health)
        assert clinic.heard.health["l", slow]


@pytest.mark.parametrize("seconds", [1, 50], ids=["a short check", "a long check"])
async def test_connections_to_members_are_given_up_before_members_do_it_and_no_request_with_them(
    clinic: Clinic, seconds: int
) -> None:
    member, given_up = own_address(), asyncio.Event()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carried = False
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /long "):
                carried = True
                await asyncio.sleep(LONGER_THAN_KEPT)
                writer.write(ANSWER)
        if carried:
            given_up.set()
        writer.write(ANSWER)
        writer.close()

    async with await asyncio.start_server(keep, member, 0) as server:
        port = server.sockets[0].getsockname()[1]
        lasting = check(ServedProtocol.HTTP, timeout=seconds)
        listener = a_listener("l", clinic.port, port, [member], protocol=ServedProtocol.HTTP, health_check=lasting)
        await clinic.stand.publish(desired("lb", 1, clinic.vip, listener))
        assert b" 200 " in await get(clinic.vip, clinic.port, "/long")
        await asyncio.wait_for(given_up.wait(), DEADLINE_SECONDS)


async def test_the_level_is_known_to_one_who_comes_later(clinic: Clinic) -> None:
    await clinic.publish(1, check(ServedProtocol.TCP), ServedProtocol.TCP)
    await clinic.is_healthy(True)
    await clinic.member.stop()
    await clinic.is_healthy(False)
    later = Heard()
    files = clinic.stand.files
    observer = HealthObserver(files.health_events, EnvoyAdmin(files.admin_socket), later)
    await observer.start()
    assert later.health == {clinic.key: False}
    await observer.stop()


async def test_the_file_is_emptied_when_it_is_long_and_nothing_is_missed(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_module, "_LONGEST_BYTES", 10)
    port = clinic.member.port
    await clinic.publish(1, check(ServedProtocol.TCP), ServedProtocol.TCP)
    for _ in range(2):
        await clinic.is_healthy(True)
        await clinic.member.stop()
        await clinic.is_healthy(False)
        await clinic.member.start(port)
    await clinic.is_healthy(True)
    await until(lambda: clinic.stand.files.health_events.stat().st_size == 0)


async def test_somebody_else_may_empty_the_file(clinic: Clinic) -> None:
    await clinic.publish(1, check(ServedProtocol.TCP), ServedProtocol.TCP)
    await clinic.is_healthy(True)
    clinic.heard.health.clear()
    os.truncate(clinic.stand.files.health_events, 0)
    await clinic.is_healthy(True)


async def test_an_envoy_that_is_killed_does_not_end_the_watch(clinic: Clinic) -> None:
    await clinic.publish(1, check(ServedProtocol.TCP), ServedProtocol.TCP)
    await clinic.is_healthy(True)
    pid = clinic.stand.envoy.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await clinic.stand.recorder.wait(lambda: ("disconnected", NODE) in clinic.stand.recorder.events)
    await clinic.observer.resync()
    await clinic.member.stop()
    await clinic.is_healthy(False)


async def test_removing_the_health_check_brings_a_failed_member_back(clinic: Clinic) -> None:
    clinic.member.status = 500
    await clinic.publish(1, check(ServedProtocol.HTTP), ServedProtocol.HTTP)
    await clinic.is_healthy(False)
    await clinic.publish(2, None, ServedProtocol.HTTP)

    async def reached() -> bool:
        return b" 500 " in (await get(clinic.vip, clinic.port)).splitlines()[0]

    await until_async(reached)
