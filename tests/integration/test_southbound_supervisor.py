"""One Envoy for one data directory, whatever happens to the service that keeps it."""

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from equipoise.node import handover
from equipoise.node import supervisor as envoy_module
from equipoise.node.admin import EnvoyAdmin
from equipoise.node.files import DataPlaneFiles
from equipoise.node.supervisor import EnvoyNotRunningError, EnvoyOptions, EnvoySupervisor
from tests.integration.southbound import (
    Member,
    a_listener,
    a_stand,
    desired,
    free_port,
    own_address,
    talk,
    until,
    until_async,
)

SERVICE = """
import asyncio, sys
from pathlib import Path
from equipoise.node.supervisor import EnvoyOptions, EnvoySupervisor

async def main():
    await EnvoySupervisor(EnvoyOptions(Path(sys.argv[1]), "node", 1)).start()
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def settings(directory: Path, concurrency: int = 1) -> EnvoyOptions:
    return EnvoyOptions(directory, "node", concurrency)


def is_alive(pid: int) -> bool:
    """Whether there is such a process, be it as a zombie that nobody reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def running(supervisor: EnvoySupervisor) -> int:
    pid = supervisor.pid
    assert pid is not None
    return pid


@pytest.fixture
async def directory(tmp_path: Path) -> AsyncIterator[Path]:
    """A data directory in which nothing runs any more after the test."""
    yield tmp_path
    last = EnvoySupervisor(settings(tmp_path), replaces=False)
    await last.start()
    await last.stop()


@pytest.fixture
async def orphan(directory: Path) -> int:
    """An Envoy whose service was killed."""
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, str(directory), stdout=asyncio.subprocess.PIPE
    )
    assert service.stdout is not None
    while b"started" not in await service.stdout.readline():
        pass
    service.kill()
    await service.wait()
    return int(DataPlaneFiles(directory).pid.read_text())


async def test_it_starts_an_envoy_and_ends_it_without_a_trace(directory: Path) -> None:
    supervisor = EnvoySupervisor(settings(directory))
    await supervisor.start()
    pid = running(supervisor)
    assert int(DataPlaneFiles(directory).pid.read_text()) == pid
    assert os.getsid(pid) == pid, "Ctrl-C at our terminal must not reach it"
    await supervisor.stop()
    assert not is_alive(pid)
    assert not DataPlaneFiles(directory).pid.exists()
    assert supervisor.pid is None


async def test_it_takes_over_the_envoy_of_a_service_that_was_killed(directory: Path, orphan: int) -> None:
    supervisor = EnvoySupervisor(settings(directory))
    await supervisor.start()
    assert supervisor.pid == orphan
    await supervisor.stop()
    await until(lambda: not is_alive(orphan))


async def test_it_finds_an_envoy_that_was_started_but_never_written_down(directory: Path, orphan: int) -> None:
    DataPlaneFiles(directory).pid.unlink()
    supervisor = EnvoySupervisor(settings(directory))
    await supervisor.start()
    assert supervisor.pid == orphan
    assert int(DataPlaneFiles(directory).pid.read_text()) == orphan
    await supervisor.stop()


async def test_it_does_not_believe_the_pid_file(directory: Path) -> None:
    files = DataPlaneFiles(directory)
    files.create()
    files.pid.write_text(f"{os.getpid()}\n")
    supervisor = EnvoySupervisor(settings(directory))
    await supervisor.start()
    assert supervisor.pid != os.getpid()
    await supervisor.stop()


async def test_an_envoy_whose_place_cannot_be_taken_in_peace_is_ended_and_replaced(
    directory: Path, orphan: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody tells the new one what to serve, so that it waits for longer than that.
    monkeypatch.setattr(handover, "_PATIENCE_SECONDS", 0.5)
    supervisor = EnvoySupervisor(settings(directory, concurrency=2))
    await supervisor.start()
    assert supervisor.pid != orphan
    assert supervisor.pids == (supervisor.pid,)
    await until(lambda: not is_alive(orphan))
    await supervisor.stop()


async def test_an_envoy_that_was_taken_over_is_watched_too(directory: Path, orphan: int) -> None:
    supervisor = EnvoySupervisor(settings(directory))
    await supervisor.start()
    os.kill(orphan, signal.SIGKILL)
    await until(lambda: supervisor.pid not in (None, orphan))
    await supervisor.stop()


async def test_an_envoy_that_dies_again_and_again_is_started_again_and_again(directory: Path) -> None:
    supervisor = EnvoySupervisor(settings(directory))
    await supervisor.start()
    dead: set[int | None] = {None}
    for _ in range(3):
        pid = running(supervisor)
        dead.add(pid)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: supervisor.pid not in dead)
        assert not is_alive(pid), "nobody reaped it"
    await supervisor.stop()


async def test_an_envoy_is_started_again_although_its_number_cannot_be_written(directory: Path) -> None:
    started: list[None] = []
    supervisor = EnvoySupervisor(settings(directory), lambda: started.append(None))
    await supervisor.start()
    pid = running(supervisor)
    files = DataPlaneFiles(directory)
    # As on a full disk, where nothing new can be written.
    files.pid.with_suffix(".new").mkdir()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: supervisor.pid not in (None, pid))
    assert len(started) == 2
    assert not files.pid.exists(), "it would name a process that is gone"
    await supervisor.stop()


async def test_it_can_be_stopped_while_it_waits_to_start_again(directory: Path) -> None:
    supervisor = EnvoySupervisor(settings(directory))
    await supervisor.start()
    pid = running(supervisor)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not is_alive(pid))
    await supervisor.stop()
    assert supervisor.pid is None


async def test_an_envoy_that_does_not_listen_is_killed_in_the_end(directory: Path) -> None:
    supervisor = EnvoySupervisor(settings(directory))
    await supervisor.start()
    pid = running(supervisor)
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    await supervisor.stop()
    assert time.monotonic() - begun < 10
    assert not is_alive(pid)


async def test_it_says_so_when_the_place_is_taken_by_something_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envoy_module, "_BIRTH_SECONDS", 0.2)
    files = DataPlaneFiles(tmp_path)
    files.create()
    with files.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EnvoyNotRunningError, match="is held"):
            await EnvoySupervisor(settings(tmp_path)).start()


async def test_a_long_log_is_put_aside_at_the_next_start(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envoy_module, "_LOG_BYTES", 10)
    files = DataPlaneFiles(directory)
    files.create()
    files.log.write_text("more than ten bytes")
    supervisor = EnvoySupervisor(settings(directory))
    await supervisor.start()
    assert files.log.with_suffix(".log.1").read_text() == "more than ten bytes"
    await supervisor.stop()


async def test_traffic_goes_on_while_the_service_changes_hands(tmp_path: Path) -> None:
    member = Member(own_address(), b"one")
    await member.start()
    vip = own_address()
    port = free_port(vip)
    async with a_stand(tmp_path) as stand:
        await stand.publish(desired("lb", 1, vip, a_listener("l", port, member.port, [member.address])))
        pid = stand.envoy.pid
        await stand.envoy.release()
        assert await talk(vip, port) == b"one"
        await stand.envoy.start()
        assert stand.envoy.pid == pid
        assert await talk(vip, port) == b"one"
    await member.stop()


async def test_a_data_directory_may_have_a_long_name(tmp_path: Path) -> None:
    member = Member(own_address(), b"one")
    await member.start()
    vip = own_address()
    port = free_port(vip)
    async with a_stand(tmp_path / ("x" * 150)) as stand:
        await stand.publish(desired("lb", 1, vip, a_listener("l", port, member.port, [member.address])))
        assert await talk(vip, port) == b"one"
        admin = EnvoyAdmin(stand.files.admin_socket)

        async def shows_the_cluster() -> bool:
            return "l::" in await admin.read("/clusters")

        await until_async(shows_the_cluster)
    await member.stop()
