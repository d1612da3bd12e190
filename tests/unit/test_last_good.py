"""What Envoy was last seen to have in force, stored for the time without a service."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.type_urls import CLUSTER, LISTENER, SECRET
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.node import last_good as module
from equipoise.node.last_good import LastGood
from equipoise.proxy.model import ListenAddress, Transport

ENDLESS_WRITER = """
import sys
from pathlib import Path
from equipoise.node.last_good import LastGood
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.backends.envoy.build.resource import Resource
store = LastGood(Path(sys.argv[1]))
print("writes", flush=True)
for number in range(10**9):
    bodies = [Resource("t", f"{part}", str(number), str(number).encode() * 900, "l") for part in range(20)]
    store.keep([DesiredResources(f"lb-{number % 5}", number, tuple(bodies))], [], str)
"""


def seal(secret: str) -> str:
    return secret[::-1]


PLACE = ListenAddress(Transport.TCP, "127.0.0.1", 80)


def desired(id: str, body: bytes = b"body") -> DesiredResources:
    """A load balancer with a resource of every sort."""
    version = body.hex()
    return DesiredResources(
        id,
        0,
        (
            Resource(CLUSTER, f"{id}-l", version, body, f"{id}-l"),
            Resource(LISTENER, f"{id}/tcp/80", version, body, f"{id}-l", f"{id}-l", PLACE),
            Resource(SECRET, f"{id}-l", version, b"\x00\xffkey" + body, f"{id}-l"),
        ),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "last-good.db"


@pytest.fixture
def store(path: Path) -> Iterator[LastGood]:
    opened = LastGood(path)
    yield opened
    opened.close()


def loaded(path: Path) -> dict[str, DesiredResources]:
    """What a process that opens it now finds."""
    opened = LastGood(path)
    found = {each.load_balancer_id: each for each in opened.load(seal)}
    opened.close()
    return found


def test_what_was_kept_is_found_as_it_was_last(store: LastGood, path: Path) -> None:
    store.keep([desired("a"), desired("b")], [], seal)
    store.keep([desired("b", b"later")], [], seal)
    assert loaded(path) == {"a": desired("a"), "b": desired("b", b"later")}


def test_what_is_gone_is_forgotten(store: LastGood, path: Path) -> None:
    store.keep([desired("a"), desired("b"), desired("c")], [], seal)
    store.keep([], ["a", "never there"], seal)
    assert loaded(path).keys() == {"b", "c"}
    store.keep_only({"c", "new"})
    assert loaded(path).keys() == {"c"}


def test_what_is_stored_already_is_not_written_again_also_not_by_the_next_process(store: LastGood, path: Path) -> None:
    sealed: list[str] = []

    def counted(secret: str) -> str:
        sealed.append(secret)
        return seal(secret)

    store.keep([desired("a")], [], counted)
    store.keep([desired("a")], [], counted)
    other = LastGood(path)
    other.keep([desired("a")], [], counted)
    other.close()
    assert len(sealed) == 1


def test_private_keys_are_stored_sealed_and_left_out_when_they_cannot_be_opened(store: LastGood, path: Path) -> None:
    store.keep([desired("a")], [], lambda _: "sealed")
    assert b"key" not in path.read_bytes() + path.with_name("last-good.db-wal").read_bytes()
    [found] = store.load(lambda _: None)
    assert [each.type_url for each in found.resources] == [CLUSTER, LISTENER]


def test_it_is_for_its_owner_alone(store: LastGood, path: Path) -> None:
    store.keep([desired("a")], [], seal)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("what", ["nonsense", "torn", "of another boot", "of another shape"])
def test_what_cannot_be_trusted_is_made_anew(path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = LastGood(path)
    before.keep([desired(str(number), b"x" * 2000) for number in range(50)], [], seal)
    before.close()
    if what == "nonsense":
        path.write_bytes(b"x" * 10_000)
    if what == "torn":
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    if what == "of another boot":
        monkeypatch.setattr(module, "_boot", lambda: "another")
    if what == "of another shape":
        monkeypatch.setattr(module, "_SHAPE", 0)
    after = LastGood(path)
    assert list(after.load(seal)) == []
    after.keep([desired("new")], [], seal)
    after.close()
    assert loaded(path) == {"new": desired("new")}


def test_a_disk_that_cannot_be_written_stops_nobody_and_is_tried_again(store: LastGood, path: Path) -> None:
    store.keep([desired("a")], [], seal)
    blocker = LastGood(path)
    blocker._connection.execute("BEGIN IMMEDIATE")
    store._connection.execute("PRAGMA busy_timeout = 1")
    store.keep([desired("a", b"later")], [], seal)
    blocker._connection.execute("ROLLBACK")
    blocker.close()
    assert loaded(path) == {"a": desired("a")}
    store.keep([desired("a", b"later")], [], seal)
    assert loaded(path) == {"a": desired("a", b"later")}


@pytest.mark.parametrize("_", range(5))
def test_a_kill_at_any_moment_leaves_whole_load_balancers(path: Path, _: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS_WRITER, path], stdout=subprocess.PIPE, env=dict(os.environ)
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        while not path.with_name("last-good.db-wal").exists() or len(loaded_as_is(path)) < 5:
            pass
        writer.send_signal(signal.SIGKILL)
    found = loaded_as_is(path)
    assert len(found) == 5
    for each in found.values():
        assert len(each.resources) == 20
        assert len({one.version for one in each.resources}) == 1
        assert {one.body for one in each.resources} == {each.resources[0].version.encode() * 900}


def loaded_as_is(path: Path) -> dict[str, DesiredResources]:
    opened = LastGood(path)
    found = {each.load_balancer_id: each for each in opened.load(str)}
    opened.close()
    return found
