"""Members fall ill and recover, and it is heard of soon, whatever happens to Envoy and its files."""

import os
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from equipoise.dataplane.admin import EnvoyAdmin
from equipoise.observe import health as health_module
from equipoise.observe.health import HealthObserver
from equipoise.proxy.model import Protocol, ProxyHealthCheck
from tests.integration.southbound import (
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


def check(protocol: Protocol, port: int | None = None, threshold: int = 1) -> ProxyHealthCheck:
    path = "/up" if protocol is Protocol.HTTP else None
    return ProxyHealthCheck(protocol, path, port, 1, 1, 1, threshold)


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

    async def publish(self, generation: int, health_check: ProxyHealthCheck | None, protocol: Protocol) -> None:
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
@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.HTTP])
async def test_a_member_that_stops_and_returns_is_heard_of(clinic: Clinic, protocol: Protocol) -> None:
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
    listener = a_listener("l", clinic.port, 9, [nobody], health_check=check(Protocol.TCP))
    await clinic.stand.publish(desired("lb", 1, clinic.vip, listener))
    await until(lambda: clinic.heard.health.get(("l", nobody)) is False)
    assert await talk(clinic.vip, clinic.port) == b""


async def test_with_every_member_down_http_is_answered_with_503(clinic: Clinic) -> None:
    await clinic.publish(1, check(Protocol.HTTP), Protocol.HTTP)
    await clinic.is_healthy(True)
    clinic.member.status = 500
    await clinic.is_healthy(False)
    assert (await get(clinic.vip, clinic.port)).startswith(b"HTTP/1.1 503 ")


async def test_a_single_bad_status_does_not_take_a_member_out(clinic: Clinic) -> None:
    await clinic.publish(1, check(Protocol.HTTP, threshold=3), Protocol.HTTP)
    await clinic.is_healthy(True)
    clinic.member.status = 500
    seen = len(clinic.member.requests)
    await until(lambda: len(clinic.member.requests) >= seen + 2)
    assert clinic.heard.health[clinic.key]
    await clinic.is_healthy(False)


async def test_a_redirect_is_a_sign_of_life_and_the_check_names_the_member(clinic: Clinic) -> None:
    clinic.member.status = 302
    await clinic.publish(1, check(Protocol.HTTP), Protocol.HTTP)
    await clinic.is_healthy(True)
    assert clinic.member.requests[0].startswith(b"GET /up HTTP/1.1\r\n")
    assert f"host: {clinic.member.address}\r\n".encode() in clinic.member.requests[0].lower()


async def test_another_port_is_checked_under_the_members_own_address(clinic: Clinic) -> None:
    nobody_listens_there = free_port(clinic.member.address)
    await clinic.publish(1, check(Protocol.TCP, port=nobody_listens_there), Protocol.TCP)
    await clinic.is_healthy(False)


async def test_the_level_is_known_to_one_who_comes_later(clinic: Clinic) -> None:
    await clinic.publish(1, check(Protocol.TCP), Protocol.TCP)
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
    await clinic.publish(1, check(Protocol.TCP), Protocol.TCP)
    for _ in range(2):
        await clinic.is_healthy(True)
        await clinic.member.stop()
        await clinic.is_healthy(False)
        await clinic.member.start(port)
    await clinic.is_healthy(True)
    await until(lambda: clinic.stand.files.health_events.stat().st_size == 0)


async def test_somebody_else_may_empty_the_file(clinic: Clinic) -> None:
    await clinic.publish(1, check(Protocol.TCP), Protocol.TCP)
    await clinic.is_healthy(True)
    clinic.heard.health.clear()
    os.truncate(clinic.stand.files.health_events, 0)
    await clinic.is_healthy(True)


async def test_an_envoy_that_is_killed_does_not_end_the_watch(clinic: Clinic) -> None:
    await clinic.publish(1, check(Protocol.TCP), Protocol.TCP)
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
    await clinic.publish(1, check(Protocol.HTTP), Protocol.HTTP)
    await clinic.is_healthy(False)
    await clinic.publish(2, None, Protocol.HTTP)

    async def reached() -> bool:
        return b" 500 " in (await get(clinic.vip, clinic.port)).splitlines()[0]

    await until_async(reached)
