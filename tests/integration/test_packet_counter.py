"""The counter of packets with the kernel of this machine: what is counted, and what it does when it may not."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable

import pytest

from equipoise.node import nft_reading
from equipoise.node.packets import CountedAddress, PacketCounter

ADDRESS, OTHER = "127.99.202.1", "127.99.202.2"


@pytest.fixture
async def counter(instance: str) -> AsyncIterator[PacketCounter]:
    made = PacketCounter(instance)
    await made.start()
    assert made.is_counting
    yield made
    await made.stop()
    assert not nft_reading.has_chain(table(instance), "input")


def table(instance: str) -> str:
    return f"equipoise_{instance}_packets"


def delete(instance: str) -> None:
    subprocess.run(["nft", "delete", "table", "ip", table(instance)], check=True)


def served(address: str) -> tuple[socket.socket, CountedAddress]:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 0))
    return server, (address, "udp", server.getsockname()[1])


def exchange(server: socket.socket, requests: int, answers: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        for _ in range(requests):
            client.sendto(b"in", server.getsockname())
            server.recv(16)
        for _ in range(answers):
            server.sendto(b"out", client.getsockname())


async def test_datagrams_are_counted_by_place_and_direction(counter: PacketCounter) -> None:
    (one, place), (two, beside) = served(ADDRESS), served(OTHER)
    with one, two:
        await counter.follow([place, beside])
        exchange(one, 5, 3)
        exchange(two, 1, 0)
        assert await counter.read() == {place: (5, 3), beside: (1, 0)}
        exchange(one, 2, 1)
        assert (await counter.read())[place] == (7, 4)


async def test_a_counter_goes_on_when_other_places_come_and_go(counter: PacketCounter) -> None:
    (one, place), (two, beside) = served(ADDRESS), served(OTHER)
    with one, two:
        await counter.follow([place])
        exchange(one, 4, 0)
        await counter.follow([place, beside])
        exchange(two, 1, 1)
        assert await counter.read() == {place: (4, 0), beside: (1, 1)}
        await counter.follow([place])
        assert await counter.read() == {place: (4, 0)}


async def test_the_same_port_of_tcp_and_udp_is_counted_apart(counter: PacketCounter) -> None:
    server, place = served(ADDRESS)
    with server:
        over_tcp = (ADDRESS, "tcp", place[2])
        await counter.follow([place, over_tcp])
        exchange(server, 2, 2)
        assert await counter.read() == {place: (2, 2), over_tcp: (0, 0)}


async def test_thousands_of_counters_are_read_though_no_message_holds_them(counter: PacketCounter) -> None:
    def places() -> Iterable[CountedAddress]:
        return [(f"127.99.203.{number % 250}", "tcp", 1024 + number) for number in range(3000)]

    await counter.follow(places())
    assert await counter.read() == dict.fromkeys(places(), (0, 0))


async def test_a_table_that_somebody_removed_counts_anew_from_the_next_look_on(
    counter: PacketCounter, instance: str
) -> None:
    server, place = served(ADDRESS)
    with server:
        await counter.follow([place])
        exchange(server, 3, 0)
        delete(instance)
        assert await counter.read() == {}
        await counter.follow([place])
        exchange(server, 1, 0)
        assert await counter.read() == {place: (1, 0)}


async def test_a_chain_is_there_until_its_table_is_removed(counter: PacketCounter, instance: str) -> None:
    assert nft_reading.has_chain(table(instance), "input")
    assert not nft_reading.has_chain(table(instance), "forward")
    delete(instance)
    assert not nft_reading.has_chain(table(instance), "input")


def without_rights(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code of Python that may not use nftables."""
    command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_who_may_not_read_is_told_so_and_not_that_nothing_is_there() -> None:
    done = without_rights("from equipoise.node.nft_reading import has_chain; has_chain('equipoise', 'output')")
    assert "PermissionError" in done.stderr


def test_who_may_not_read_counts_nothing_and_says_why(instance: str) -> None:
    done = without_rights(
        "import asyncio, sys\n"
        "from equipoise.node.packets import PacketCounter\n"
        "counter = PacketCounter(sys.argv[1])\n"
        "asyncio.run(counter.start())\n"
        "print(counter.is_counting)",
        instance,
    )
    assert "packets_not_counted" in done.stdout
    assert done.stdout.endswith("False\n")
