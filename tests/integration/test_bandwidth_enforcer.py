"""The enforcer with the kernel of this machine: what it does when things are not as it left them."""

import asyncio
import errno
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from equipoise.node import bandwidth, nft, nft_reading
from equipoise.node.bandwidth import BandwidthEnforcer
from equipoise.proxy.model import BalancingPolicy, ProxyLoadBalancer, ServedProtocol
from tests.proxies import Served, serving


@pytest.fixture
async def enforcer(instance: str) -> AsyncIterator[BandwidthEnforcer]:
    made = BandwidthEnforcer(instance)
    await made.start()
    await made.ready()
    yield made
    await made.stop()
    await made.remove()
    assert made.table not in rules()


def rules() -> str:
    return subprocess.run(["nft", "list", "ruleset", "ip"], capture_output=True, text=True, check=True).stdout


def of_table(name: str) -> str:
    return subprocess.run(["nft", "list", "table", "ip", name], capture_output=True, text=True, check=True).stdout


def number_of(table: str) -> str:
    """The number that the kernel gives a table, another one to each that is made."""
    command = ["nft", "--handle", "list", "table", "ip", table]
    first, _, _ = subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition("\n")
    assert "# handle" in first
    return first


def delete(table: str) -> None:
    subprocess.run(["nft", "delete", "table", "ip", table], check=True)


def load_balancer(id: str, address: str, mbits: int = 10, *ports: int) -> ProxyLoadBalancer:
    listeners = [
        Served(f"{id}-{port}", ServedProtocol.TCP, port, 9000, BalancingPolicy.ROUND_ROBIN, (), None, None)
        for port in ports or (80,)
    ]
    return serving(id, address, tuple(listeners), mbits)


async def test_what_a_killed_service_left_stays_until_all_is_known_and_is_then_replaced(instance: str) -> None:
    killed = BandwidthEnforcer(instance)
    await killed.start()
    await killed.apply([load_balancer("stays", "127.99.0.1"), load_balancer("deleted-meanwhile", "127.99.0.2")])
    await killed.ready()
    await killed.stop()

    successor = BandwidthEnforcer(instance)
    await successor.start()
    await successor.apply([load_balancer("stays", "127.99.0.1", 20)])
    assert "127.99.0.2" in of_table(successor.table)
    assert "rate over 2500000" not in of_table(successor.table)
    await successor.ready()
    assert "127.99.0.2" not in of_table(successor.table)
    assert "rate over 2500000" in of_table(successor.table)
    await successor.stop()
    await successor.remove()
    assert successor.table not in rules()


async def test_limits_that_were_taken_away_stay_away_while_the_service_ends(instance: str) -> None:
    ending = BandwidthEnforcer(instance)
    await ending.start()
    await ending.apply([load_balancer("one", "127.99.0.1")])
    await ending.ready()
    await ending.remove()
    # The node is gone: the controller looks at all that waits for it.
    await ending.apply((), ())
    await ending.apply([load_balancer("two", "127.99.0.2")])
    assert ending.table not in rules()
    await ending.stop()


async def test_a_table_that_somebody_else_removed_is_whole_again_with_the_next_change(
    enforcer: BandwidthEnforcer,
) -> None:
    await enforcer.apply([load_balancer("one", "127.99.0.1")])
    delete(enforcer.table)
    await enforcer.apply([load_balancer("two", "127.99.0.2")])
    assert enforcer.unavailable_reason is None
    assert "127.99.0.1" in of_table(enforcer.table)
    assert "127.99.0.2" in of_table(enforcer.table)


async def test_a_table_that_somebody_else_removed_comes_back_without_any_change(
    instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bandwidth, "_LOOK_SECONDS", 0.01)
    made = BandwidthEnforcer(instance)
    await made.start()
    await made.ready()
    await made.apply([load_balancer("one", "127.99.0.1")])
    delete(made.table)
    deadline = time.monotonic() + 20
    while "127.99.0.1" not in rules():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await made.stop()
    await made.remove()


async def test_a_table_that_is_there_stays_as_it_is_also_where_only_the_command_may_read(
    instance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def refuse(table: str, chain: str) -> bool:
        looked.append(table)
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(bandwidth, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(nft_reading, "has_chain", refuse)
    made = BandwidthEnforcer(instance)
    await made.start()
    await made.ready()
    before = number_of(made.table)
    while len(looked) < 5:
        await asyncio.sleep(0.01)
    assert number_of(made.table) == before
    delete(made.table)
    while made.table not in rules():
        await asyncio.sleep(0.01)
    await made.stop()
    await made.remove()


async def test_an_address_goes_from_one_load_balancer_to_another(enforcer: BandwidthEnforcer) -> None:
    await enforcer.apply([load_balancer("one", "127.99.0.1", 10, 80, 443)])
    await enforcer.apply([load_balancer("two", "127.99.0.1", 20, 80)], gone=["one"])
    listed = of_table(enforcer.table)
    assert "rate over 2500000" in listed
    assert ". 443" not in listed
    await enforcer.apply([], gone=["two"])
    assert "127.99.0.1" not in of_table(enforcer.table)


async def test_without_nft_it_says_so_and_what_to_do(
    instance: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(nft, "SYSTEM_FOLDERS", str(tmp_path))
    made = BandwidthEnforcer(instance)
    await made.start()
    await made.apply([load_balancer("one", "127.99.0.1")])
    await made.ready()
    assert made.unavailable_reason == "the command nft is missing; install the package nftables and restart the service"
    await made.stop()
    await made.remove()


async def test_a_kernel_that_stops_taking_rules_hinders_until_it_takes_them_again(
    enforcer: BandwidthEnforcer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = tmp_path / "nft"
    refusing.write_text("#!/bin/sh\necho 'Error: Could not process rule: No buffer space available' >&2\nexit 1\n")
    refusing.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(tmp_path))
        await enforcer.apply([load_balancer("one", "127.99.0.1")])
    assert enforcer.unavailable_reason is not None
    assert "No buffer space" in enforcer.unavailable_reason
    await enforcer.apply([load_balancer("two", "127.99.0.2")])
    assert enforcer.unavailable_reason is None
    assert "127.99.0.1" in of_table(enforcer.table)
