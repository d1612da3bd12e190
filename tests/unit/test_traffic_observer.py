"""Of what the totals are kept: of what exists, whether it serves or not, and of nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from equipoise.core.traffic import Traffic
from equipoise.node.admin import EnvoyAdmin
from equipoise.node.packets import CountedAddress, PacketCounter, Packets
from equipoise.node.telemetry.served import Served
from equipoise.node.telemetry.traffic import Look, TrafficObserver
from equipoise.node.telemetry.traffic_reading import ListenerCounts, MemberCounts
from equipoise.proxy.model import (
    BalancingPolicy,
    ProxyListener,
    ProxyLoadBalancer,
    ProxyMember,
    ProxyPool,
    ServedProtocol,
)
from stand import PATIENCE

ID, OTHER = "a" * 32, "b" * 32
MEMBER = (ID, "10.0.0.1")
_COUNTERS = "cx_active cx_connect_fail cx_total rq_active rq_error rq_pending_active rq_success rq_timeout rq_total"
_MEMBER = "".join(f"{ID}::10.0.0.1:80::{name}::{int(name == 'cx_total')}\n" for name in _COUNTERS.split())


class Admin(EnvoyAdmin):
    """Tells of each listener that it has so many connections, and of the one member that it has a connection."""

    def __init__(self) -> None:
        self.connections: dict[str, int] = {}

    async def pieces(self, path: str, _method: str = "GET") -> AsyncIterator[str]:
        if path == "/clusters":
            yield _MEMBER if ID in self.connections else ""
            return
        for id, connections in self.connections.items():
            yield f"envoy_listener_{id}_downstream_cx_total{{}} {connections}\n"


class NoPackets(PacketCounter):
    def __init__(self) -> None:
        super().__init__("test", enabled=False)

    async def follow(self, addresses: Iterable[CountedAddress]) -> None: ...

    async def read(self) -> Packets:
        return {}


class Looks:
    """An observer that looks once each time that it is asked to."""

    def __init__(self) -> None:
        self.admin = Admin()
        self.served = Served()
        self.told: list[list[Traffic]] = []
        self._found: asyncio.Queue[Look] = asyncio.Queue(1)
        self.observer = TrafficObserver(
            self.admin, NoPackets(), self.served, 0, lambda samples: self.told.append(list(samples)), self._found.put
        )

    async def look(self) -> Look:
        """The next one that begins from now on."""
        async with asyncio.timeout(PATIENCE):
            for _ in range(2):
                await self._found.get()
            return await self._found.get()


def serving(id: str) -> ProxyLoadBalancer:
    listener = ProxyListener(id, ServedProtocol.TCP, 80, id)
    pool = ProxyPool(id, ServedProtocol.TCP, BalancingPolicy.ROUND_ROBIN, (ProxyMember("10.0.0.1", 80),))
    return ProxyLoadBalancer(f"lb-{id}", "127.0.0.1", (listener,), (pool,))


async def test_the_totals_of_what_was_stopped_are_kept_and_those_of_what_was_deleted_are_not() -> None:
    looks = Looks()
    looks.served.put(serving(ID))
    looks.served.put(serving(OTHER))
    looks.admin.connections = {ID: 7, OTHER: 5}
    looks.observer.start()
    seen = await looks.look()
    assert {id: each.connections for id, each in seen.listeners.items()} == {ID: 7, OTHER: 5}

    # Stopped: Envoy forgets them, one by one.
    looks.served.put(ProxyLoadBalancer(f"lb-{ID}", "127.0.0.1", (), idle=(ID,)))
    looks.served.put(ProxyLoadBalancer(f"lb-{OTHER}", "127.0.0.1", (), idle=(OTHER,)))
    looks.admin.connections = {}
    seen = await looks.look()
    assert seen.listeners[ID] == ListenerCounts(connections=7)
    assert seen.members[MEMBER] == MemberCounts(connections=1)
    assert seen.listeners[OTHER] == ListenerCounts(connections=5)

    # Deleted, with its load balancer and without it.
    looks.served.put(ProxyLoadBalancer(f"lb-{ID}", "127.0.0.1", ()))
    looks.served.forget([f"lb-{OTHER}", "unknown"])
    seen = await looks.look()
    assert (seen.listeners, seen.members) == ({}, {})
    await looks.observer.stop()


async def test_a_listener_that_serves_again_goes_on_from_its_totals() -> None:
    looks = Looks()
    looks.served.put(serving(ID))
    looks.admin.connections = {ID: 7}
    looks.observer.start()
    await looks.look()
    looks.served.put(ProxyLoadBalancer(f"lb-{ID}", "127.0.0.1", (), idle=(ID,)))
    looks.admin.connections = {}
    await looks.look()
    looks.served.put(serving(ID))
    looks.admin.connections = {ID: 2}
    seen = await looks.look()
    assert seen.listeners[ID].connections == 9
    await looks.observer.stop()


async def test_what_never_carried_anything_has_no_totals_while_it_serves_nothing() -> None:
    looks = Looks()
    looks.served.put(ProxyLoadBalancer(f"lb-{ID}", "127.0.0.1", (), idle=(ID,)))
    looks.observer.start()
    assert (await looks.look()).listeners == {}
    await looks.observer.stop()


async def test_that_nothing_is_carried_is_told_once_and_again_to_who_knows_nothing() -> None:
    looks = Looks()
    looks.observer.start()
    await looks.look()
    await looks.look()
    assert looks.told == [[]]
    looks.observer.tell_again()
    await looks.look()
    assert looks.told == [[], []]
    await looks.observer.stop()
