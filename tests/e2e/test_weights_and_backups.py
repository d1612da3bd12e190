"""Weights and backups in traffic: no API asks for them yet, so that they are asked for below it, in the service itself.

The service runs in this process, with an Envoy of its own, and the use cases get the commands that an API would make.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from equipoise.app.service import Equipoise
from equipoise.core.commands import (
    AddMemberCommand,
    CreateHealthMonitorCommand,
    CreateListenerCommand,
    CreateLoadBalancerCommand,
    PoolFields,
)
from equipoise.core.jobs import Job, JobStatus
from equipoise.core.model import EXTERNAL, Algorithm, Protocol
from equipoise.core.quotas import Quotas
from equipoise.settings.table import Settings
from equipoise.store.database import Transaction
from equipoise.store.waiting import JobWaiters
from equipoise.usecases import health_monitors, listeners, load_balancers, members
from equipoise.usecases.context import Accepted, Caller, Policy
from stand import PATIENCE, Backends, ask, unused_network

PORT = 8080
CALLER = Caller(project_id="a" * 32, request_id="test", may_freeze=False)


class Place:
    """A listener of a load balancer in a service of this process."""

    def __init__(self, service: Equipoise, policy: Policy) -> None:
        self._database = service.database
        self._waiters = JobWaiters(self._database)
        self._policy = policy
        self.address = self.pool_id = ""

    async def build(self, protocol: Protocol, port_of_members: int) -> None:
        command = CreateLoadBalancerCommand(
            name="weights",
            description="",
            vpc_id="vpc",
            type=EXTERNAL,
            bandwidth=1000,
            admin_state_up=1,
            vip_subnet_id=None,
            security_group_id=None,
            vip_address=None,
            az=None,
            charge_mode="bandwidth",
            eip_type="5_bgp",
        )
        made = await self.succeeds(lambda tx: load_balancers.create_load_balancer(tx, CALLER, self._policy, command))
        id = made.resource_id
        shown = await self._database.read(lambda c: load_balancers.show_load_balancer(c, CALLER, id))
        self.address = shown.vip_address
        listener = CreateListenerCommand(
            load_balancer_id=id,
            name="weights",
            description="",
            protocol=protocol,
            port=PORT,
            pool=PoolFields(protocol=protocol, algorithm=Algorithm.ROUND_ROBIN, default_port=port_of_members),
        )
        created = await self.succeeds(
            lambda tx: listeners.create_listener(tx, CALLER, self._policy, lambda _context: listener)
        )
        self.pool_id = created.resource_id

    async def add(self, *wanted: AddMemberCommand) -> None:
        await self.succeeds(lambda tx: members.add_members(tx, CALLER, self._policy, self.pool_id, wanted))

    async def check(self) -> None:
        monitor = CreateHealthMonitorCommand(
            type=Protocol.HTTP,
            path="/health",
            port=None,
            healthy_threshold=1,
            unhealthy_threshold=1,
            timeout=1_000,
            interval=1_000,
        )
        await self.succeeds(
            lambda tx: health_monitors.create_health_monitor(
                tx, CALLER, self._policy, self.pool_id, lambda _pool, _listener: monitor
            )
        )

    async def succeeds(self, work: Callable[[Transaction], Accepted]) -> Accepted:
        accepted = await self._database.write(work)
        job: Job | None = await self._waiters.wait(CALLER.project_id, accepted.job_id, PATIENCE)
        assert job is not None
        assert job.status == JobStatus.SUCCESS, job
        return accepted

    async def answers(self, count: int) -> Counter[str]:
        return await asyncio.to_thread(ask, self.address, PORT, count)

    async def until_answers(self, wanted: set[str], count: int) -> None:
        """Wait until that many requests in a row are answered by these, and by each of them."""
        async with asyncio.timeout(PATIENCE):
            while (await self.answers(count)).keys() != wanted:
                pass


@asynccontextmanager
async def serving(folder: Path, protocol: Protocol, backends: Backends) -> AsyncIterator[Place]:
    pool = IPv4Network(unused_network())
    settings = Settings()
    settings = replace(settings, addresses=replace(settings.addresses, external=pool))
    policy = Policy(
        pools={EXTERNAL: pool}, quotas=Quotas(load_balancers=10, listeners=10, members=10), job_time_limit=60
    )
    async with Equipoise(folder, ("127.0.0.1", 0), settings) as service:
        place = Place(service, policy)
        await place.build(protocol, backends.port)
        yield place


@pytest.mark.parametrize("protocol", [Protocol.TCP, Protocol.HTTP])
async def test_members_get_traffic_by_their_weight_and_nothing_new_with_none(
    tmp_path: Path, backends: Backends, protocol: Protocol
) -> None:
    heavy, light, none = backends.addresses
    async with serving(tmp_path, protocol, backends) as place:
        await place.add(
            AddMemberCommand("a", heavy, weight=3),
            AddMemberCommand("b", light, weight=1),
            AddMemberCommand("c", none, weight=0),
        )
        answers = await place.answers(80)
        # Each worker of Envoy keeps turns of its own.
        assert answers.keys() == {heavy, light}
        assert 56 <= answers[heavy] <= 64


async def test_a_backup_gets_traffic_only_while_no_other_member_can(tmp_path: Path, backends: Backends) -> None:
    first, second, backup = backends.addresses
    async with serving(tmp_path, Protocol.HTTP, backends) as place:
        await place.add(
            AddMemberCommand("a", first), AddMemberCommand("b", second), AddMemberCommand("c", backup, backup=True)
        )
        await place.check()
        await place.until_answers({first, second}, 20)
        backends[0].healthy = False
        await place.until_answers({second}, 40)
        backends[1].healthy = False
        await place.until_answers({backup}, 20)
        backends[0].healthy = True
        await place.until_answers({first}, 20)
