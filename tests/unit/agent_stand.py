"""An agent with everything around it played: what it does and what it tells is noted in one order."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager

from equipoise.node.agent import Agent
from equipoise.node.draining import Draining
from equipoise.node.lease import Lease
from equipoise.node.telemetry.served import Served
from equipoise.proxy.link import (
    Attached,
    Hello,
    Published,
    PublishedVersion,
    Removal,
    SendToController,
    SendToNode,
    ToController,
    ToNode,
)
from equipoise.proxy.model import (
    BalancingPolicy,
    ProxyHealthCheck,
    ProxyListener,
    ProxyLoadBalancer,
    ProxyMember,
    ProxyPool,
    ServedProtocol,
)
from equipoise.proxy.rejections import RejectedResource, RejectionKind
from tests.fake_checks import FakeChecks
from tests.unit.turns import settle

PROXY = "proxy"
SESSION = 7


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Gate:
    """Open, until it is closed."""

    def __init__(self) -> None:
        self._is_open = asyncio.Event()
        self._is_open.set()
        self.close, self.open, self.passed = self._is_open.clear, self._is_open.set, self._is_open.wait


class Proxy:
    def __init__(self, journal: list[object]) -> None:
        self._journal = journal
        self.models: dict[str, ProxyLoadBalancer] = {}

    def publish(self, states: Iterable[Published]) -> None:
        for each in states:
            self.models[each.load_balancer_id] = each.model
            self._journal.append(f"published {each.load_balancer_id}@{each.version.generation}")

    def withdraw(self, load_balancer_ids: Iterable[str]) -> None:
        for id in load_balancer_ids:
            self.models.pop(id, None)
            self._journal.append(f"withdrawn {id}")

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        self._journal.append(f"acknowledged {load_balancer_id}@{generation}")

    def ready(self) -> None:
        self._journal.append("ready")


class Limits:
    def __init__(self, journal: list[object]) -> None:
        self._journal = journal
        self.gate = Gate()
        self.unavailable_reason: str | None = None

    async def apply(self, load_balancers: Iterable[ProxyLoadBalancer], gone: Iterable[str] = ()) -> None:
        await self.gate.passed()
        self._journal.extend(f"limited {each.load_balancer_id}" for each in load_balancers)
        self._journal.extend(f"unlimited {id}" for id in gone)

    async def ready(self) -> None:
        self._journal.append("limits ready")


class Cutter:
    def __init__(self, journal: list[object]) -> None:
        self._journal = journal
        self.gate = Gate()
        self.why_not: str | None = None

    def unavailable_reason(self) -> str | None:
        return self.why_not

    async def cut(self, pool_id: str, addresses: Collection[str]) -> int:
        await self.gate.passed()
        self._journal.append(f"cut {pool_id} {' '.join(sorted(addresses))}")
        return 1


class AgentStand:
    """The journal has a word for what was done, and each message that was told."""

    def __init__(self) -> None:
        self.journal: list[object] = []
        self.clock = Clock()
        self.proxy = Proxy(self.journal)
        self.limits = Limits(self.journal)
        self.cutter = Cutter(self.journal)
        self.draining = Draining(self.cutter, self.clock)
        self.served = Served()
        self.tell: SendToNode
        self.agent = Agent(
            self._connect, self.proxy, self.limits, self.draining, FakeChecks, self.served, Lease(self.clock)
        )
        assert isinstance(self.agent.checks, FakeChecks)
        self.checks = self.agent.checks
        self.hello = 0

    def _connect(self, send: SendToNode) -> SendToController:
        self.tell = send
        return self._hear

    def _hear(self, message: ToController) -> None:
        if isinstance(message, Hello):
            self.hello = message.number
        self.journal.append(message)

    @property
    def told(self) -> list[object]:
        """The messages alone."""
        return [each for each in self.journal if not isinstance(each, str)]

    async def say(self, *messages: ToNode) -> None:
        """Be the controller."""
        for each in messages:
            self.tell(each)
        await settle()

    async def attach(self, session: int = SESSION, lease: float | None = None) -> None:
        """Answer its last hello."""
        await self.say(Attached(session, self.hello, lease))

    async def connect(self) -> None:
        self.agent.node_connected(PROXY)
        await settle()

    async def disconnect(self) -> None:
        self.agent.node_disconnected(PROXY)
        await settle()

    async def confirm(self, **generations: int) -> None:
        """Be the proxy."""
        self.agent.confirmed(PROXY, generations)
        await settle()

    async def reject(self, *rejections: RejectedResource) -> None:
        self.agent.rejected(PROXY, rejections)
        await settle()


@asynccontextmanager
async def open_agent(*, attached: bool = True) -> AsyncIterator[AgentStand]:
    """An agent at work; if `attached`, with a proxy and in `SESSION`, and with an empty journal."""
    stand = AgentStand()
    stand.agent.start()
    failing = asyncio.create_task(stand.agent.failed())
    try:
        if attached:
            await stand.connect()
            await stand.attach()
            stand.journal.clear()
        yield stand
        assert not failing.done(), failing.exception()
    finally:
        failing.cancel()
        await asyncio.gather(failing, return_exceptions=True)
        await stand.agent.stop()


def state(id: str, generation: int = 1, revision: int = 10, *removals: Removal) -> Published:
    """Of a load balancer with one TCP listener."""
    listener = ProxyListener(f"{id}-listener", ServedProtocol.TCP, 80, f"{id}-listener")
    pool = ProxyPool(f"{id}-listener", ServedProtocol.TCP, BalancingPolicy.ROUND_ROBIN, ())
    model = ProxyLoadBalancer(id, "127.0.0.1", (listener,), (pool,))
    return Published(id, PublishedVersion(generation, revision), model, removals)


def udp_state(id: str, members: Mapping[str, bool | None], generation: int = 1, revision: int = 10) -> Published:
    """Of a load balancer with one UDP listener, whose members the node checks; with what the controller knows."""
    pool = ProxyPool(
        f"{id}-pool",
        ServedProtocol.UDP,
        BalancingPolicy.ROUND_ROBIN,
        tuple(ProxyMember(address, 53, healthy=healthy) for address, healthy in members.items()),
        ProxyHealthCheck(ServedProtocol.UDP, None, None, 5, 2, 3, 3),
    )
    listener = ProxyListener(f"{id}-listener", ServedProtocol.UDP, 53, pool.pool_id)
    return Published(
        id, PublishedVersion(generation, revision), ProxyLoadBalancer(id, "127.0.0.1", (listener,), (pool,))
    )


def rejection(id: str, generation: int, resource: str = "resource") -> RejectedResource:
    return RejectedResource(id, generation, frozenset(), resource, RejectionKind.STRUCTURE, "no")
