"""A controller on a real database with a node that does what a test tells it: the stand for the rules of jobs."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from typing import Any, TypeVar

from cryptography.fernet import Fernet
from sqlalchemy import Connection, func, select

from equipoise.api.classic.handlers.listeners import create_listener
from equipoise.backends.envoy.backend import desired_of
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.certificates.vault import Vault
from equipoise.controller.compile import ProxySettings
from equipoise.controller.controller import Controller
from equipoise.controller.slow_start import SlowStart
from equipoise.core.commands import AddMemberCommand, CreateLoadBalancerCommand
from equipoise.core.jobs import Job
from equipoise.core.quotas import Quotas
from equipoise.core.references import listeners, pools
from equipoise.node.agent import Agent
from equipoise.node.draining import Draining
from equipoise.node.telemetry.served import Served
from equipoise.proxy.backend import ProxyObserver
from equipoise.proxy.link import Confirmed, Published, PublishedVersion, SendToController, SendToNode
from equipoise.proxy.model import ProxyLoadBalancer
from equipoise.proxy.rejections import RejectedResource, RejectionKind
from equipoise.store import tables
from equipoise.store.database import Clock, Database, Transaction, open_engine
from equipoise.store.events import Event, JobMoved
from equipoise.store.migrate import upgrade
from equipoise.store.waiting import JobWaiters
from equipoise.usecases import jobs, load_balancers, members
from equipoise.usecases.context import Accepted, Caller, Policy
from stand import PATIENCE
from tests.fake_checks import FakeChecks

T = TypeVar("T")

PROJECT = "a" * 32
CALLER = Caller(project_id=PROJECT, request_id="test", may_freeze=False)
NODE = "node-1"


class FakeNode:
    """Stands for the proxy of a node: remembers what is desired, confirms and rejects when told to."""

    observer: ProxyObserver
    say: SendToController

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.desired: dict[str, DesiredResources] = {}
        self.withdrawn: set[str] = set()
        self.acknowledged: dict[str, int] = {}
        self.is_ready = False
        self.confirms_at_once = True
        self.is_connected = False
        self.published = asyncio.Event()

    def publish(self, states: Iterable[Published]) -> None:
        for one in states:
            self.desired[one.load_balancer_id] = desired_of(one)
        self.published.set()
        # Nobody confirms who is not connected.
        if self.confirms_at_once and self.is_connected:
            self.confirm_all()

    def withdraw(self, load_balancer_ids: Iterable[str]) -> None:
        for id in load_balancer_ids:
            self.desired.pop(id, None)
            self.withdrawn.add(id)

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        self.acknowledged[load_balancer_id] = generation

    def ready(self) -> None:
        self.is_ready = True

    def connect(self) -> None:
        self.is_connected = True
        self.observer.node_connected(self.node_id)
        if self.confirms_at_once:
            self.confirm_all()

    def disconnect(self) -> None:
        self.is_connected = False
        self.observer.node_disconnected(self.node_id)

    def confirm_all(self) -> None:
        self.confirm(*self.desired)

    def confirm(self, *load_balancer_ids: str) -> None:
        """As they were published last."""
        self.confirm_generations({id: self.desired[id].generation for id in load_balancer_ids})

    def confirm_generations(self, generations: Mapping[str, int]) -> None:
        asyncio.get_running_loop().call_soon(self.observer.confirmed, self.node_id, generations)

    def reject(self, load_balancer_id: str, listener_id: str, reason: str) -> None:
        generation = self.desired[load_balancer_id].generation
        # As of a listener with a pool of its own; what it says tells the kind.
        concerns = listeners(listener_id) | pools(listener_id)
        kind = RejectionKind.ADDRESS_IN_USE if "cannot listen" in reason else RejectionKind.STRUCTURE
        rejected = RejectedResource(load_balancer_id, generation, concerns, "resource", kind, reason)
        asyncio.get_running_loop().call_soon(self.observer.rejected, self.node_id, [rejected])


class RecordingCutter:
    """Stands for the data plane's way to cut connections: remembers whose, or says that it cannot."""

    def __init__(self) -> None:
        self.cuts: list[tuple[str, set[str]]] = []
        self.why_not: str | None = None
        self.asked_when: Callable[[], None] = lambda: None

    def unavailable_reason(self) -> str | None:
        return self.why_not

    async def cut(self, listener_id: str, addresses: Collection[str]) -> int:
        self.asked_when()
        self.cuts.append((listener_id, set(addresses)))
        return 1


class FakeLimits:
    """Stands for the kernel: remembers the bandwidth of what serves, and is hindered when told to."""

    def __init__(self, unavailable_reason: str | None) -> None:
        self.unavailable_reason = self.becomes = unavailable_reason
        self.in_force: dict[str, int | None] = {}
        self.is_ready = False

    async def apply(self, load_balancers: Iterable[ProxyLoadBalancer], gone: Iterable[str] = ()) -> None:
        for each in load_balancers:
            self.in_force[each.load_balancer_id] = each.bandwidth
        for id in gone:
            self.in_force.pop(id, None)
        self.unavailable_reason = self.becomes

    async def ready(self) -> None:
        self.is_ready = True


class Stand:
    """Shorthands for what tests ask of the use cases."""

    def __init__(
        self,
        url: str,
        database: Database,
        controller: Controller,
        node: FakeNode,
        limits: FakeLimits,
        policy: Policy,
        vault: Vault,
        draining: Draining,
        cutter: RecordingCutter,
        agent: Agent,
        checks: FakeChecks,
    ) -> None:
        self.database = database
        self._looking = open_engine(url)
        self.controller = controller
        self.node = node
        self.limits = limits
        self.policy = policy
        self.vault = vault
        self.draining = draining
        self.cutter = cutter
        self.agent = agent
        self.checks = checks
        self._agents = [agent]
        self.waiters = JobWaiters(database)
        self.events: list[Event] = []
        database.on_commit(self.events.extend)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Look at what is stored, from a connection that the service does not know of."""
        with self._looking.connect() as connection:
            return work(connection)

    def join(self, node_id: str) -> FakeNode:
        """Another node at the same controller, connected."""
        node = FakeNode(node_id)
        self._agents.append(new_agent(self.controller, node, FakeLimits(None), Draining(RecordingCutter())))
        node.connect()
        return node

    async def close(self) -> None:
        for agent in self._agents:
            await agent.stop()
        self._looking.dispose()

    async def write(self, work: Callable[[Transaction], T]) -> T:
        return await self.database.write(work)

    async def create_load_balancer(self, **fields: object) -> Accepted:
        return await self.write(
            lambda tx: load_balancers.create_load_balancer(tx, CALLER, self.policy, new_load_balancer(**fields))
        )

    async def create_listener(self, load_balancer_id: str, port: int = 8080, **fields: Any) -> Accepted:
        body = {
            "name": "listener",
            "loadbalancer_id": load_balancer_id,
            "protocol": "TCP",
            "port": port,
            "backend_protocol": "TCP",
            "backend_port": 9000,
            "lb_algorithm": "roundrobin",
        } | fields
        return await self.write(lambda tx: create_listener(tx, CALLER, self.policy, body))

    async def add_member(self, listener_id: str, address: str = "127.0.1.1") -> Accepted:
        wanted = [AddMemberCommand("server", address)]
        return await self.write(lambda tx: members.add_members(tx, CALLER, self.policy, listener_id, wanted))

    async def remove_members(self, listener_id: str, *ids: str) -> Accepted:
        return await self.write(lambda tx: members.remove_members(tx, CALLER, self.policy, listener_id, ids))

    def members(self, listener_id: str) -> list[str]:
        found = self.read(lambda c: members.list_members(c, CALLER, listener_id, (), None, None, None))
        return [view.member.id for view in found]

    async def ended(self, accepted: Accepted) -> Job:
        job = await self.waiters.wait(PROJECT, accepted.job_id, PATIENCE)
        assert job is not None
        assert job.ended, f"{job} did not end"
        return job

    def job(self, accepted: Accepted) -> Job:
        return self.read(lambda connection: jobs.show_job(connection, CALLER, accepted.job_id))

    def newest(self, load_balancer_id: str) -> PublishedVersion:
        """What is desired."""
        shown = self.read(lambda connection: load_balancers.show_load_balancer(connection, CALLER, load_balancer_id))
        return PublishedVersion(shown.generation, shown.revision)

    def in_force(self, node_id: str, load_balancer_id: str) -> int:
        """Up to which revision the node is known to have it in force; what follows from it is stored with it."""
        row = tables.lagging.c
        own = (row.node_id == node_id) & (row.load_balancer_id == load_balancer_id)
        watermark = tables.nodes.c.in_force
        look = select(func.coalesce(row.revision, watermark)).outerjoin_from(tables.nodes, tables.lagging, own)
        found = self.read(lambda c: c.execute(look.where(tables.nodes.c.id == node_id)).scalar())
        return -1 if found is None else int(found)

    def confirm_change_of(self, accepted: Accepted) -> None:
        """Let the node say that the change which this job stands for is in force, and nothing after it."""
        row = tables.jobs.c
        look = select(row.load_balancer_id, row.generation, row.accepted_revision).where(row.id == accepted.job_id)
        id, *version = self.read(lambda connection: connection.execute(look).one())
        session = self.controller.fleet.sessions[self.node.node_id]
        self.node.say(Confirmed(session, {id: PublishedVersion._make(version)}))

    def story(self, accepted: Accepted) -> list[str]:
        """The states that the job went through, in the order of commits."""
        return [e.status.value for e in self.events if isinstance(e, JobMoved) and e.job_id == accepted.job_id]

    async def attached(self) -> None:
        """Wait until the controller has taken the node over, and has told it everything."""
        await self.until(lambda: self.node.node_id in self.controller.fleet.sessions)
        await self.until(lambda: self.node.is_ready)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that the background work brings about holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.001)

    async def handed_over(self, load_balancer_id: str) -> None:
        """Wait until the newest generation of the load balancer was published."""
        newest = self.read(
            lambda connection: load_balancers.show_load_balancer(connection, CALLER, load_balancer_id).generation
        )
        await self.until(
            lambda: load_balancer_id in self.node.desired and self.node.desired[load_balancer_id].generation >= newest
        )


def new_agent(controller: Controller, node: FakeNode, limits: FakeLimits, draining: Draining) -> Agent:
    """The agent of a node, at work."""

    def connect(send: SendToNode) -> SendToController:
        node.say = controller.connect(node.node_id, send)
        return node.say

    agent = Agent(connect, node, limits, draining, FakeChecks, Served())
    node.observer = agent
    agent.start()
    return agent


def new_load_balancer(**fields: object) -> CreateLoadBalancerCommand:
    values: dict[str, object] = {
        "name": "lb",
        "description": "",
        "vpc_id": "vpc",
        "type": "External",
        "bandwidth": 10,
        "admin_state_up": 1,
        "vip_subnet_id": None,
        "security_group_id": None,
        "vip_address": None,
        "az": None,
        "charge_mode": "bandwidth",
        "eip_type": "5_bgp",
    }
    return CreateLoadBalancerCommand(**(values | fields))  # type: ignore[arg-type]


@asynccontextmanager
async def open_stand(
    url: str,
    *,
    time_limit: float = 300,
    external: str = "127.77.0.0/16",
    connected: bool = True,
    clock: Clock | None = None,
    unavailable_reason: str | None = None,
    vault: Vault | None = None,
    slow_start: int = 0,
    node_id: str = NODE,
) -> AsyncIterator[Stand]:
    """A stand on a database, which a later stand may open again."""
    upgrade(url)
    database = Database(url, clock)
    database.start()
    vault = vault or Vault(Fernet.generate_key())
    cutter = RecordingCutter()
    draining = Draining(cutter, clock or time.monotonic)
    limits = FakeLimits(unavailable_reason)
    node = FakeNode(node_id)
    controller = Controller(database, time_limit, vault.unseal, SlowStart(slow_start), ProxySettings())
    agent = new_agent(controller, node, limits, draining)
    assert isinstance(agent.checks, FakeChecks)
    policy = Policy(
        pools={"External": IPv4Network(external), "Internal": IPv4Network("127.78.0.0/16")},
        quotas=Quotas(load_balancers=1000, listeners=100, members=1000),
        job_time_limit=time_limit,
        chooser=random.Random(7),
    )
    stand = Stand(url, database, controller, node, limits, policy, vault, draining, cutter, agent, agent.checks)
    await controller.start()
    if connected:
        node.connect()
    try:
        yield stand
    finally:
        await controller.stop()
        await stand.close()
        await database.stop()


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """The database as another service sees it."""
    database = Database(url)
    database.start()
    try:
        yield database
    finally:
        await database.stop()
