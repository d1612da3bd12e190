"""Networks of their own for several services on one machine (`stand/namespaces.py`), in a real kernel."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stand import can_connect, eventually
from stand.namespaces import Machines, NamespacesMissing, machines


@pytest.fixture(autouse=True)
def where_they_can_be_made() -> None:
    try:
        with machines(1):
            pass
    except NamespacesMissing as error:
        pytest.skip(f"not tested here: networks of their own for services; {error}")


@pytest.fixture
def two() -> Iterator[Machines]:
    with machines(2) as made:
        yield made


def test_each_machine_reaches_the_hub_and_has_all_addresses_for_itself(two: Machines) -> None:
    with two.hub.inside(), socket.create_server((two.hub.address, 0)) as server:
        for one in two.each:
            with one.inside(), socket.create_server(("127.66.0.1", 8080)):
                socket.create_connection(server.getsockname(), timeout=5).close()
                seen, client = server.accept()
                seen.close()
                assert client[0] == one.address
                assert can_connect("127.66.0.1", 8080)
    assert not can_connect("127.66.0.1", 8080)


def test_a_cut_is_silent_and_heals(two: Machines) -> None:
    with two.hub.inside(), socket.create_server((two.hub.address, 0)) as server:
        place = server.getsockname()
        with two.each[0].inside():
            with two.each[0].cut_off_from(*place), pytest.raises(TimeoutError):
                socket.create_connection(place, timeout=0.2)
            socket.create_connection(place, timeout=5).close()


def test_nothing_is_left_of_them_nor_of_what_runs_inside() -> None:
    with machines(1) as made:
        left = subprocess.Popen([*made.each[0].through, "sleep", "600"])
        eventually(lambda: _network_of(left.pid) != _network_of(os.getpid()))
    assert left.wait() < 0
    assert not list(Path("/run/netns").glob(f"equipoise-{os.getpid()}-*"))


def _network_of(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/net").readlink())
