"""The node: it puts in force what its controller tells, and tells what became of it.

For each state of a load balancer one order holds. Its limits are in the kernel before its listeners open. Connections
to removed members are cut before it is confirmed. It is confirmed when the proxy really listens.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Protocol

import structlog

from equipoise.core.traffic import Traffic
from equipoise.node.draining import Draining
from equipoise.node.lease import RENEW_SECONDS, Lease
from equipoise.node.probes.targets import UdpCheckTarget, as_seen, targets_of
from equipoise.node.probes.udp_health import OnHealth
from equipoise.node.progress import Progress
from equipoise.node.telemetry.served import Served
from equipoise.proxy.backend import Backend
from equipoise.proxy.link import (
    AcknowledgeRejection,
    AllAssigned,
    Assign,
    Attached,
    Confirmed,
    Detached,
    Gone,
    Goodbye,
    Greeting,
    HealthSeen,
    Hello,
    Member,
    Published,
    PublishedVersion,
    Renew,
    Renewed,
    ResourcesRejected,
    SendToController,
    SendToNode,
    Shortfall,
    ShortfallKind,
    ToNode,
    TrafficSeen,
    UpToDate,
)
from equipoise.proxy.model import ProxyLoadBalancer
from equipoise.proxy.rejections import RejectedResource

_log = structlog.get_logger("equipoise.node")

_BATCH: Final = 256
"""Load balancers put in force in one go: bounds how long other work of the event loop waits."""


class BandwidthLimits(Protocol):
    """What limits traffic; `equipoise.node.bandwidth.BandwidthEnforcer` is it."""

    @property
    def unavailable_reason(self) -> str | None: ...

    async def apply(self, load_balancers: Iterable[ProxyLoadBalancer], gone: Iterable[str] = ()) -> None: ...

    async def ready(self) -> None: ...


class UdpChecks(Protocol):
    """What checks members over UDP; `equipoise.node.probes.udp_health.UdpHealthChecker` is it."""

    def start(self) -> None: ...

    async def failed(self) -> None: ...

    async def stop(self) -> None: ...

    def put(self, load_balancer_id: str, targets: Sequence[UdpCheckTarget]) -> None: ...

    def known(self, load_balancer_id: str) -> Mapping[Member, bool]: ...


Connect = Callable[[SendToNode], SendToController]
"""Makes the way to a controller: takes where messages to the node go, returns where to put its own."""

MakeChecks = Callable[[OnHealth], UdpChecks]


@dataclass(frozen=True, slots=True)
class _ProxyIsThere:
    """The proxy has nothing that counts yet."""


@dataclass(frozen=True, slots=True)
class _ProxyHasGone:
    pass


@dataclass(frozen=True, slots=True)
class _PublishedAgain:
    """Newer or older versions of generations that were published before, by load balancer."""

    versions: Mapping[str, PublishedVersion]


_Heard = (
    _ProxyIsThere
    | _ProxyHasGone
    | _PublishedAgain
    | Attached
    | Detached
    | Greeting
    | Mapping[str, int]
    | Sequence[RejectedResource]
)


class Agent:
    """The agent of one node; it is the `ProxyObserver` of its backend.

    Args:
        connect: makes the way to the controller.
        backend: the proxy.
        served: kept at what there is to count.
        keep_only: told once which load balancers there are, before anything of this start is confirmed.
    """

    def __init__(
        self,
        connect: Connect,
        backend: Backend,
        limits: BandwidthLimits,
        draining: Draining,
        make_checks: MakeChecks,
        served: Served,
        lease: Lease | None = None,
        keep_only: Callable[[Collection[str]], None] = lambda _ids: None,
    ) -> None:
        self.checks = make_checks(self.members_turned)
        self._backend = backend
        self._limits = limits
        self._draining = draining
        self._served = served
        self._keep_only = keep_only
        self._attached: list[Callable[[], None]] = []
        self._lease = lease or Lease()
        self._hello = 0
        self._session: int | None = None
        self._is_up = False
        # None: the load balancer has gone.
        self._to_apply: dict[str, Published | None] = {}
        self._something_to_apply = asyncio.Event()
        self._assigned: set[str] = set()
        # Those of them that were not assigned again since `Attached`.
        self._unassigned: set[str] = set()
        self._all_assigned = False
        self._is_ready = False
        self._progress = Progress()
        # Those with members that are checked here: what is published of them depends on what is seen.
        self._checked: dict[str, Published] = {}
        self._heard: asyncio.Queue[_Heard] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        # The last, since messages may come from then on.
        self._send = connect(self.receive)

    def when_attached(self, call: Callable[[], None]) -> None:
        """Call it when a controller has taken the node over, which knows nothing of what was seen before."""
        self._attached.append(call)

    def start(self) -> None:
        """Begin, on the running event loop."""
        self._tasks = [
            asyncio.create_task(self._apply_forever(), name="apply"),
            asyncio.create_task(self._tell_forever(), name="tell"),
            asyncio.create_task(self._renew_forever(), name="renew"),
        ]

    async def failed(self) -> None:
        """Return only by raising: what ended one of its tasks. Nothing does but a defect."""
        await asyncio.gather(*map(asyncio.shield, self._tasks))

    async def stop(self) -> None:
        """Stop; what is in force stays so."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What the controller tells

    def receive(self, message: ToNode) -> None:
        """Take a message in. Returns at once."""
        match message:
            case Assign(states):
                assigned = {state.load_balancer_id: state for state in states}
                self._to_apply.update(assigned)
                self._assigned |= assigned.keys()
                self._unassigned -= assigned.keys()
                self._something_to_apply.set()
            case Gone(ids):
                self._withdraw(ids)
            case AllAssigned():
                self._withdraw(self._unassigned)
                self._all_assigned = True
            case AcknowledgeRejection(id, generation):
                self._backend.acknowledge_rejection(id, generation)
            case Attached():
                self._unassigned = set(self._assigned)
                self._heard.put_nowait(message)
            case Renewed(number):
                self._lease.renewed(number)
            case Detached() | Greeting():
                # Not at once: it must not overtake the `Attached` of the session that it ends.
                self._heard.put_nowait(message)

    def _withdraw(self, load_balancer_ids: Collection[str]) -> None:
        self._to_apply.update(dict.fromkeys(load_balancer_ids))
        self._assigned.difference_update(load_balancer_ids)
        self._unassigned = self._unassigned.difference(load_balancer_ids)
        self._something_to_apply.set()

    # What the proxy tells

    def node_connected(self, _proxy_id: str) -> None:
        self._heard.put_nowait(_ProxyIsThere())

    def node_disconnected(self, _proxy_id: str) -> None:
        self._heard.put_nowait(_ProxyHasGone())

    def confirmed(self, _proxy_id: str, generations: Mapping[str, int]) -> None:
        self._heard.put_nowait(generations)

    def rejected(self, _proxy_id: str, rejections: Sequence[RejectedResource]) -> None:
        self._heard.put_nowait(rejections)

    # What is seen beside it

    def members_seen(self, seen: Mapping[Member, bool]) -> None:
        """Tell what the proxy found out about members."""
        if seen and (session := self._held) is not None:
            self._send(HealthSeen(session, False, seen))

    def members_turned(self, load_balancer_id: str, seen: Mapping[Member, bool]) -> None:
        """Put in force and tell what the checks over UDP found out about members."""
        state = self._checked.get(load_balancer_id)
        if state is not None:
            self._backend.publish([self._as_seen(state)])
        if (session := self._held) is not None:
            self._send(HealthSeen(session, True, seen))

    def traffic_seen(self, samples: Sequence[Traffic]) -> None:
        """Tell the newest samples of traffic."""
        if (session := self._held) is not None:
            self._send(TrafficSeen(session, samples))

    # Putting it in force

    async def _apply_forever(self) -> None:
        while True:
            await self._something_to_apply.wait()
            self._something_to_apply.clear()
            while self._to_apply:
                some = {id: self._to_apply.pop(id) for id in list(islice(self._to_apply, _BATCH))}
                await self._apply(
                    [state for state in some.values() if state is not None],
                    [id for id, state in some.items() if state is None],
                )
                # Others have their turn.
                await asyncio.sleep(0)
            if self._all_assigned:
                await self._end_of_all()

    async def _end_of_all(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            self._keep_only(self._assigned)
            await self._limits.ready()
            self._backend.ready()
        # Without a session it is told in the next one.
        if (session := self._held) is not None:
            self._all_assigned = False
            self._send(UpToDate(session))

    async def _apply(self, states: Sequence[Published], gone: Sequence[str]) -> None:
        await self._limits.apply([state.model for state in states])
        again: dict[str, PublishedVersion] = {}
        for state in states:
            id, version = state.load_balancer_id, state.version
            if self._progress.publish(id, version):
                again[id] = version
            self._draining.expect(id, state.removals, self._progress.generation(id))
            self._served.put(state.model)
            self._check(state)
        self._backend.publish([self._as_seen(state) for state in states])
        self._forget(gone)
        if gone:
            # What was served until now was limited until now.
            await self._limits.apply((), gone)
        if again:
            self._heard.put_nowait(_PublishedAgain(again))

    def _check(self, state: Published) -> None:
        id, targets = state.load_balancer_id, targets_of(state.model)
        if not targets and id not in self._checked:
            return
        self.checks.put(id, targets)
        if not targets:
            del self._checked[id]
            return
        self._checked[id] = state
        # Who does not know what was seen is told again.
        known = self.checks.known(id)
        untold = {each.member: known[each.member] for each in targets if each.healthy is None and each.member in known}
        if untold and (session := self._held) is not None:
            self._send(HealthSeen(session, True, untold))

    def _as_seen(self, state: Published) -> Published:
        if state.load_balancer_id not in self._checked:
            return state
        return replace(state, model=as_seen(state.model, self.checks.known(state.load_balancer_id)))

    def _forget(self, gone: Sequence[str]) -> None:
        for id in gone:
            if self._checked.pop(id, None) is not None:
                self.checks.put(id, ())
        self._progress.forget(gone)
        self._draining.forget(gone)
        self._served.forget(gone)
        self._backend.withdraw(gone)

    # Telling what became of it

    async def _tell_forever(self) -> None:
        while True:
            match message := await self._heard.get():
                case _ProxyIsThere():
                    self._is_up = True
                    self._progress.begin_anew()
                    self._say_hello()
                case _ProxyHasGone():
                    self._is_up = False
                    if self._session is not None:
                        self._send(Goodbye(self._session))
                        self._session = None
                case Attached():
                    self._begin(message)
                case Detached():
                    self._lose()
                case Greeting():
                    if self._is_up:
                        self._say_hello()
                case _PublishedAgain(versions):
                    already = (id for id, each in versions.items() if self._progress.is_in_force_already(id, each))
                    await self._tell_confirmed({id: versions[id].generation for id in already})
                case Mapping() as generations:
                    await self._tell_confirmed(generations)
                case rejections:
                    self._tell_rejected(rejections)

    async def _tell_confirmed(self, generations: Mapping[str, int]) -> None:
        shortfall = await self._draining.confirmed(generations)
        versions = self._progress.confirm(generations)
        self._confirm(versions, () if shortfall is None else (shortfall,))

    def _confirm(self, versions: Mapping[str, PublishedVersion], shortfalls: Sequence[Shortfall] = ()) -> None:
        session = self._held
        if session is None or not versions:
            return
        reason = self._limits.unavailable_reason
        if reason is not None:
            shortfalls = *shortfalls, Shortfall(ShortfallKind.BANDWIDTH, reason, frozenset(versions))
        self._send(Confirmed(session, versions, shortfalls))

    def _tell_rejected(self, rejections: Sequence[RejectedResource]) -> None:
        self._progress.reject(rejections)
        if (session := self._held) is not None:
            self._send(ResourcesRejected(session, rejections))

    # The session

    @property
    def _held(self) -> int | None:
        """The session, for as long as nobody else can have the node."""
        return None if self._lease.is_over else self._session

    def _say_hello(self) -> None:
        self._session = None
        self._hello = self._lease.ask()
        self._send(Hello(self._hello))

    def _begin(self, attached: Attached) -> None:
        session = attached.session
        if attached.hello != self._hello:
            # The answer to the newest hello follows.
            return
        if not self._is_up:
            self._send(Goodbye(session))
            return
        self._session = session
        self._lease.begin(self._hello, attached.lease)
        # What is rejected first: what is confirmed apart from that is not healed by it.
        if rejections := self._progress.rejected:
            self._send(ResourcesRejected(session, rejections))
        self._confirm(dict(self._progress.in_force))
        for id in self._checked:
            if known := self.checks.known(id):
                self._send(HealthSeen(session, True, known))
        for call in self._attached:
            call()
        # The end of all may not have been told yet.
        self._something_to_apply.set()

    def _lose(self) -> None:
        if self._session is not None:
            self._say_hello()

    def renew(self) -> None:
        """Ask for the time of another lease, or give way and say hello again."""
        if self._session is None or not self._lease.has_end:
            return
        if self._lease.is_over:
            _log.warning("node_gave_way", session=self._session, reason="its lease was not renewed in time")
            self._lose()
            return
        self._send(Renew(self._session, self._lease.ask()))

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            self.renew()
