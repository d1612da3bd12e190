"""The whole domain against a simple model: what stands is what the jobs that have not failed have written, in order.

Use cases, store and controller are the real ones, on SQLite; the node does what it is told. The model knows nothing
of taking back: it forgets a failed job and plays the others again.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from equipoise.api.classic.handlers import health_checks as classic_health_checks
from equipoise.api.classic.handlers import listeners as classic_listeners
from equipoise.api.classic.handlers import load_balancers as classic_load_balancers
from equipoise.backends.envoy.build.type_urls import ENDPOINTS
from equipoise.core.errors import AlreadyExists, InUse, PortTaken, ServiceError
from equipoise.core.jobs import JobStatus
from equipoise.store.database import Transaction, sqlite_url
from equipoise.usecases import health_monitors, jobs, listeners, load_balancers, members
from equipoise.usecases.context import Accepted
from tests.store.controller_stand import CALLER, Stand, open_stand

TIME_LIMIT = 300
EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "12"))
PORTS = (8080, 8081, 8082)
ADDRESSES = ("127.0.1.1", "127.0.1.2")
MAX_LOAD_BALANCERS = 2
NOTHING, EVERY_LISTENER = "", "*"
"""Whose rejection fails a job; any other scope is the id of a listener."""
UNFINISHED = (JobStatus.INIT, JobStatus.RUNNING)

any_number = st.integers(0, 10**6)


@dataclass
class ModelListener:
    port: int
    description: str = ""
    algorithm: str = "ROUND_ROBIN"
    members: set[str] = field(default_factory=set)
    health_check: tuple[str, int] | None = None


@dataclass
class ModelLoadBalancer:
    address: str
    description: str = ""
    admin_state: int = 1
    deleting: bool = False
    listeners: dict[str, ModelListener] = field(default_factory=dict)

    @property
    def serves(self) -> bool:
        return self.admin_state == 1 and not self.deleting


Effect = Callable[["ModelLoadBalancer"], None]


@dataclass
class ModelJob:
    """`effect` is what it does to its load balancer; `needs` are ids without which it is about nothing.

    `makes` are ids of what it creates, `scope` is whose refusal fails it, `ports` stay taken until it ends, `deletes`
    says what becomes of the address: "keep" or "all", empty if it is no deletion of a load balancer. `writes` is the
    field that reaches the data plane, if the job changes one: its own refusal is then about the job.
    """

    accepted: Accepted
    load_balancer: str
    deadline: float
    scope: str
    effect: Effect
    makes: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    state: JobStatus = JobStatus.INIT
    deletes: str = ""
    ports: frozenset[int] = frozenset()
    writes: str = ""

    @property
    def unfinished(self) -> bool:
        return self.state in UNFINISHED


class Domain(RuleBasedStateMachine):
    """Everything that can happen to load balancers of one project."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.now = 1_000_000.0
        self.jobs: list[ModelJob] = []
        self.addresses: dict[str, str] = {}
        self.reused: dict[str, str] = {}
        self.generations: dict[str, int] = {}
        self.connected = False

    @initialize()
    def begin(self) -> None:
        """Something to change from the first step on."""
        self._open()
        self.connect()
        self.create_load_balancer(0)
        self.create_listener(0, PORTS[0])
        self.add_member(0, ADDRESSES[0])
        self.confirm(0)

    def teardown(self) -> None:
        self._close()
        self.runner.close()
        self.folder.cleanup()

    def _open(self) -> None:
        url = sqlite_url(Path(self.folder.name) / "test.db")
        self.parts = AsyncExitStack()
        stand = open_stand(url, time_limit=TIME_LIMIT, connected=False, clock=lambda: self.now)
        self.stand: Stand = self.runner.run(self.parts.enter_async_context(stand))
        self.stand.node.confirms_at_once = False

    def _close(self) -> None:
        self.runner.run(self.parts.aclose())

    # The model

    def standing(self) -> dict[str, ModelLoadBalancer]:
        """What there is for users: the jobs that have not failed, played in order."""
        found: dict[str, ModelLoadBalancer] = {}
        for job in self.jobs:
            if job.state == JobStatus.FAIL:
                continue
            id = job.load_balancer
            if id in job.makes:
                found[id] = ModelLoadBalancer(self.addresses[id])
            if id not in found:
                continue
            job.effect(found[id])
            if job.deletes:
                found[id].deleting = True
                if job.state == JobStatus.SUCCESS:
                    del found[id]
        return found

    def kept(self) -> set[str]:
        """Elastic IPs that no load balancer has."""
        held = {
            self.addresses[job.load_balancer]
            for job in self.jobs
            if job.deletes == "keep" and job.state == JobStatus.SUCCESS
        }
        # Those that were reused and given back with their new load balancer.
        for job in self.jobs:
            if job.deletes == "all" and job.state == JobStatus.SUCCESS:
                held.discard(self.addresses[job.load_balancer])
        return held - {one.address for one in self.standing().values()}

    def changeable(self) -> list[str]:
        return [id for id, one in self.standing().items() if not one.deleting]

    def a_load_balancer(self, number: int) -> str | None:
        there = sorted(self.changeable())
        return there[number % len(there)] if there else None

    def a_listener(self, number: int) -> tuple[str, str] | None:
        standing = self.standing()
        there = sorted((id, listener) for id in self.changeable() for listener in standing[id].listeners)
        return there[number % len(there)] if there else None

    def fail(self, failing: Iterable[ModelJob]) -> None:
        """These jobs failed, and with them all that is about something that they made."""
        for job in failing:
            job.state = JobStatus.FAIL
        while True:
            made = {id for job in self.jobs if job.state != JobStatus.FAIL for id in job.makes}
            orphans = [job for job in self.jobs if job.unfinished and not job.needs <= made]
            if not orphans:
                return
            for job in orphans:
                job.state = JobStatus.FAIL

    def take(
        self,
        work: Callable[[Transaction], Accepted],
        load_balancer: str | None,
        scope: str | None,
        effect: Effect,
        *,
        needs: Iterable[str] = (),
        **more: Any,
    ) -> ModelJob:
        accepted = self.runner.run(self.stand.write(work))
        id = load_balancer or accepted.resource_id
        job = ModelJob(
            accepted,
            id,
            self.now + TIME_LIMIT,
            accepted.resource_id if scope is None else scope,
            effect,
            needs=frozenset({*needs, id}),
            state=JobStatus.RUNNING if self.connected else JobStatus.INIT,
            **more,
        )
        self.jobs.append(job)
        return job

    # Load balancers

    @rule(number=any_number)
    def create_load_balancer(self, number: int) -> None:
        if len(self.standing()) >= MAX_LOAD_BALANCERS:
            return
        held = sorted(self.kept())
        vip = held[number % len(held)] if held and number % 2 else None
        accepted = self.runner.run(self.stand.create_load_balancer(vip_address=vip))
        id = accepted.resource_id
        shown = self.stand.read(lambda c: load_balancers.show_load_balancer(c, CALLER, id))
        assert vip in (None, shown.vip_address)
        self.addresses[id] = shown.vip_address
        state = JobStatus.RUNNING if self.connected else JobStatus.INIT
        made = frozenset({id})
        job = ModelJob(accepted, id, self.now + TIME_LIMIT, NOTHING, lambda _: None, made, made, state)
        self.jobs.append(job)

    @rule(number=any_number, value=st.sampled_from(["a", "b"]))
    def describe_load_balancer(self, number: int, value: str) -> None:
        id = self.a_load_balancer(number)
        if id is not None:
            self._update(id, {"description": value}, NOTHING, lambda one: setattr(one, "description", value))

    @rule(number=any_number, value=st.sampled_from([0, 1]))
    def switch_load_balancer(self, number: int, value: int) -> None:
        id = self.a_load_balancer(number)
        if id is not None:
            writes = self.writes(f"{id}.admin_state", self.standing()[id].admin_state != value)
            scope = EVERY_LISTENER if writes else NOTHING
            effect = partial(setattr_of, name="admin_state", value=value)
            self._update(id, {"admin_state_up": value}, scope, effect, writes)

    def writes(self, name: str, differs: bool) -> str:
        """The field, if a job about it writes it: it differs, or whoever made it equal may still fail."""
        return name if differs or any(job.unfinished and job.writes == name for job in self.jobs) else ""

    def _update(self, id: str, changes: dict[str, Any], scope: str, effect: Effect, writes: str = "") -> None:
        policy = self.stand.policy
        work = partial(classic_load_balancers.update_load_balancer, caller=CALLER, policy=policy, id=id, body=changes)
        self.take(work, id, scope, effect, writes=writes)

    @rule(number=any_number, keep=st.booleans())
    def delete_load_balancer(self, number: int, keep: bool) -> None:
        id = self.a_load_balancer(number)
        if id is None:
            return
        work = partial(
            load_balancers.delete_load_balancer, caller=CALLER, policy=self.stand.policy, id=id, keep_address=keep
        )
        if any(listener.members for listener in self.standing()[id].listeners.values()):
            with pytest.raises(InUse):
                self.runner.run(self.stand.write(work))
            return
        self.take(work, id, NOTHING, lambda _: None, deletes="keep" if keep else "all")

    # Listeners

    def port_may_be_taken(self, load_balancer: str, port: int, but_for: str = "") -> bool:
        """Whether any listener has the port, or would if unfinished jobs failed."""
        there = self.standing()[load_balancer].listeners
        if any(one.port == port for id, one in there.items() if id != but_for):
            return True
        return any(job.unfinished and port in job.ports for job in self.jobs if job.load_balancer == load_balancer)

    @rule(number=any_number, port=st.sampled_from(PORTS))
    def create_listener(self, number: int, port: int) -> None:
        id = self.a_load_balancer(number)
        if id is None:
            return
        try:
            accepted = self.runner.run(self.stand.create_listener(id, port))
        except ServiceError as error:
            expect(error, PortTaken, self.port_may_be_taken(id, port))
            return
        made = accepted.resource_id

        def effect(one: ModelLoadBalancer) -> None:
            one.listeners[made] = ModelListener(port)

        state = JobStatus.RUNNING if self.connected else JobStatus.INIT
        needs = frozenset({id, made})
        self.jobs.append(
            ModelJob(
                accepted,
                id,
                self.now + TIME_LIMIT,
                made,
                effect,
                frozenset({made}),
                needs,
                state,
                ports=frozenset({port}),
            )
        )

    @rule(number=any_number, port=st.sampled_from(PORTS))
    def move_listener(self, number: int, port: int) -> None:
        found = self.a_listener(number)
        if found is None:
            return
        id, listener = found
        before = self.standing()[id].listeners[listener].port

        def effect(one: ModelLoadBalancer) -> None:
            if listener in one.listeners:
                one.listeners[listener].port = port

        try:
            writes = self.writes(f"{listener}.port", before != port)
            scope = listener if writes else NOTHING
            self._update_listener(id, listener, {"port": port}, scope, effect, before, port, writes=writes)
        except ServiceError as error:
            expect(error, PortTaken, self.port_may_be_taken(id, port, but_for=listener))

    @rule(number=any_number, value=st.sampled_from(["a", "b"]))
    def describe_listener(self, number: int, value: str) -> None:
        found = self.a_listener(number)
        if found is None:
            return
        id, listener = found

        def effect(one: ModelLoadBalancer) -> None:
            if listener in one.listeners:
                one.listeners[listener].description = value

        self._update_listener(id, listener, {"description": value}, NOTHING, effect)

    def _update_listener(
        self, id: str, listener: str, body: object, scope: str, effect: Effect, *ports: int, writes: str = ""
    ) -> None:
        work = partial(
            classic_listeners.update_listener, caller=CALLER, policy=self.stand.policy, id=listener, body=body
        )
        self.take(work, id, scope, effect, needs=[listener], ports=frozenset(ports), writes=writes)

    @rule(number=any_number)
    def delete_listener(self, number: int) -> None:
        found = self.a_listener(number)
        if found is None:
            return
        id, listener = found
        port = self.standing()[id].listeners[listener].port

        def effect(one: ModelLoadBalancer) -> None:
            one.listeners.pop(listener, None)

        work = partial(listeners.delete_listener, caller=CALLER, policy=self.stand.policy, id=listener)
        self.take(work, id, NOTHING, effect, ports=frozenset({port}))

    # Members and health checks

    @rule(number=any_number, address=st.sampled_from(ADDRESSES))
    def add_member(self, number: int, address: str) -> None:
        found = self.a_listener(number)
        if found is None:
            return
        id, listener = found

        def effect(one: ModelLoadBalancer) -> None:
            if listener in one.listeners:
                one.listeners[listener].members.add(address)

        accepted = self.runner.run(self.stand.add_member(listener, address))
        state = JobStatus.RUNNING if self.connected else JobStatus.INIT
        needs = frozenset({id, listener})
        self.jobs.append(ModelJob(accepted, id, self.now + TIME_LIMIT, listener, effect, needs=needs, state=state))

    @rule(number=any_number, address=st.sampled_from(ADDRESSES))
    def remove_member(self, number: int, address: str) -> None:
        found = self.a_listener(number)
        if found is None:
            return
        id, listener = found
        views = self.stand.read(
            lambda c: members.list_members(c, CALLER, listener, [("address", address)], None, None, None)
        )
        if not views:
            return
        member = views[0].member.id

        def effect(one: ModelLoadBalancer) -> None:
            if listener in one.listeners:
                one.listeners[listener].members.discard(address)

        policy = self.stand.policy
        work = partial(members.remove_members, caller=CALLER, policy=policy, pool_id=listener, ids=[member])
        self.take(work, id, listener, effect, needs=[listener])

    @rule(number=any_number, threshold=st.integers(1, 3))
    def check_health(self, number: int, threshold: int) -> None:
        found = self.a_listener(number)
        if found is None:
            return
        id, listener = found
        present = self.standing()[id].listeners[listener].health_check
        policy = self.stand.policy
        if present is None:
            body = {"listener_id": listener, "healthy_threshold": threshold}
            create = partial(classic_health_checks.create_health_check, caller=CALLER, policy=policy, body=body)
            try:
                job = self.take(create, id, listener, lambda _: None, needs=[listener])
            except ServiceError as error:
                going = [job for job in self.jobs if job.unfinished and job.load_balancer == id]
                # One whose deletion has not ended may come back.
                expect(error, AlreadyExists, bool(going))
                return
            made = job.accepted.resource_id
            job.effect = _checked(listener, (made, threshold))
            job.makes = frozenset({made})
            return
        body = {"healthy_threshold": threshold}
        update = partial(
            classic_health_checks.update_health_check, caller=CALLER, policy=policy, id=present[0], body=body
        )
        self.take(update, id, listener, _checked(listener, (present[0], threshold)), needs=[listener, present[0]])

    @rule(number=any_number)
    def check_no_more(self, number: int) -> None:
        found = self.a_listener(number)
        if found is None:
            return
        id, listener = found
        present = self.standing()[id].listeners[listener].health_check
        if present is not None:
            work = partial(
                health_monitors.delete_health_monitor, caller=CALLER, policy=self.stand.policy, id=present[0]
            )
            self.take(work, id, listener, _checked(listener, None), needs=[listener])

    # What happens to jobs

    @rule(number=any_number)
    @precondition(lambda self: self.connected)
    def confirm(self, number: int) -> None:
        there = sorted(self.standing())
        if not there:
            return
        id = there[number % len(there)]
        self.runner.run(self._confirm(id))
        for job in self.jobs:
            if job.load_balancer == id and job.unfinished:
                job.state = JobStatus.SUCCESS

    async def _confirm(self, id: str) -> None:
        await self.stand.handed_over(id)
        self.stand.node.confirm(id)

    @rule(number=any_number)
    @precondition(lambda self: self.connected)
    def refuse(self, number: int) -> None:
        found = self.a_listener(number)
        if found is None or not self.standing()[found[0]].serves:
            return
        id, listener = found
        about = [
            job
            for job in self.jobs
            if job.unfinished and job.load_balancer == id and job.scope in (listener, EVERY_LISTENER)
        ]
        if about:
            self.runner.run(self._refuse(id, listener))
            self.fail(about)

    async def _refuse(self, id: str, listener: str) -> None:
        await self.stand.handed_over(id)
        self.stand.node.reject(id, listener, "it is not wanted")
        await asyncio.sleep(0)

    @rule(seconds=st.sampled_from([60, 150, TIME_LIMIT]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        overdue = [job for job in self.jobs if job.unfinished and job.deadline <= self.now]
        self.fail(overdue)

    @rule(number=any_number)
    def cancel(self, number: int) -> None:
        waiting = [job for job in self.jobs if job.state == JobStatus.INIT]
        if waiting:
            job = waiting[number % len(waiting)]
            self.runner.run(self.stand.write(lambda tx: jobs.cancel_job(tx, CALLER, job.accepted.job_id)))
            self.fail([job])

    @rule()
    @precondition(lambda self: not self.connected)
    def connect(self) -> None:
        self.connected = True
        self.stand.node.connect()
        for job in self.jobs:
            if job.unfinished:
                job.state = JobStatus.RUNNING

    @rule()
    @precondition(lambda self: self.connected)
    def disconnect(self) -> None:
        self.connected = False
        # One that the controller does not know of yet would look like one that is gone, and let a job begin later.
        self.runner.run(self.stand.until(self._a_node_is_live))
        self.stand.node.disconnect()
        # Only when the controller knows does the next job wait.
        self.runner.run(self.stand.until(lambda: not self._a_node_is_live()))

    def _a_node_is_live(self) -> bool:
        return self.stand.read(lambda c: bool(c.exec_driver_sql("SELECT 1 FROM nodes WHERE live").first()))

    @rule()
    def restart(self) -> None:
        self._close()
        self.connected = False
        self._open()

    # What must hold after each step

    @invariant()
    def all_is_as_in_the_model(self) -> None:
        # First, because it waits for what goes on in the background.
        self.the_jobs_stand_as_in_the_model()
        self.what_users_see_is_what_was_not_taken_back()
        self.an_address_is_held_by_a_load_balancer_or_kept()
        self.generations_only_rise()
        # A node that is away is told when it is back.
        if self.connected:
            self.the_node_is_told_what_stands()

    def the_jobs_stand_as_in_the_model(self) -> None:
        for job in self.jobs:
            self.runner.run(self._stands(job))

    async def _stands(self, job: ModelJob) -> None:
        try:
            await self.stand.until(lambda: self.stand.job(job.accepted).status == job.state)
        except TimeoutError:
            raise AssertionError(f"{self.stand.job(job.accepted)} is not {job.state}") from None

    def what_users_see_is_what_was_not_taken_back(self) -> None:
        assert self._shown() == self.standing()

    def _shown(self) -> dict[str, ModelLoadBalancer]:
        found = {}
        for one in self.stand.read(lambda c: load_balancers.list_load_balancers(c, CALLER, (), None, None)):
            shown = ModelLoadBalancer(one.vip_address, one.description, one.admin_state_up, one.deleting)
            of_this = listeners.ListenerFilters([("load_balancer_id", one.id)])
            list_them = partial(listeners.list_listeners, caller=CALLER, filters=of_this, limit=None, marker=None)
            for view in self.stand.read(list_them):
                shown.listeners[view.listener.id] = self._shown_listener(view)
            found[one.id] = shown
        return found

    def _shown_listener(self, view: listeners.ListenerView) -> ModelListener:
        id = view.listener.id
        views = self.stand.read(lambda c: members.list_members(c, CALLER, id, (), None, None, None))
        addresses = [each.member.address for each in views]
        assert len(addresses) == len(set(addresses)), "a member twice"
        check = None
        if view.health_monitor_id is not None:
            id = view.health_monitor_id
            shown = self.stand.read(lambda c: health_monitors.show_health_monitor(c, CALLER, id)).monitor
            check = (shown.id, shown.healthy_threshold)
        listener = view.listener
        assert view.pool is not None
        return ModelListener(listener.port, listener.description, view.pool.algorithm, set(addresses), check)

    def an_address_is_held_by_a_load_balancer_or_kept(self) -> None:
        rows = self.stand.read(lambda c: c.exec_driver_sql("SELECT address FROM addresses").scalars().all())
        assert sorted(rows) == sorted([one.address for one in self.standing().values()] + list(self.kept()))

    def generations_only_rise(self) -> None:
        for one in self.stand.read(lambda c: load_balancers.list_load_balancers(c, CALLER, (), None, None)):
            assert one.generation >= self.generations.get(one.id, 0)
            self.generations[one.id] = one.generation

    def the_node_is_told_what_stands(self) -> None:
        for id, one in self.standing().items():
            self.runner.run(self.stand.handed_over(id))
            desired = self.stand.node.desired[id]
            ports = {
                (each.owner, each.listen_address.port) for each in desired.resources if each.listen_address is not None
            }
            told = {each.owner: _addresses_in(each.body) for each in desired.resources if each.type_url == ENDPOINTS}
            there = one.listeners.items() if one.serves else []
            assert ports == {(listener, each.port) for listener, each in there}
            assert told == {listener: each.members for listener, each in there}


def expect(error: ServiceError, kind: type[ServiceError], there_is_a_reason: bool) -> None:
    """A refusal has to be this one, and justified."""
    assert type(error) is kind
    assert there_is_a_reason, error


def setattr_of(one: ModelLoadBalancer, name: str, value: object) -> None:
    setattr(one, name, value)


def _checked(listener: str, check: tuple[str, int] | None) -> Effect:
    def effect(one: ModelLoadBalancer) -> None:
        if listener in one.listeners:
            one.listeners[listener].health_check = check

    return effect


def _addresses_in(body: bytes) -> set[str]:
    assignment = ClusterLoadAssignment.FromString(body)
    return {
        member.endpoint.address.socket_address.address
        for locality in assignment.endpoints
        for member in locality.lb_endpoints
    }


TestDomain = Domain.TestCase
TestDomain.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # To shrink costs more than it tells: a failing step waits for what does not come.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
