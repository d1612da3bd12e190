"""Checks the members of UDP listeners, which Envoy cannot: a probe at every interval, judged by what comes back.

An answer of the member is a pass. That the member, its host or its network cannot be reached, is a failure; it comes
as an ICMP message. Silence until the time-out is a pass: most services say nothing to what they do not know.
How many results turn a member round is told in `thresholds`, how probes travel in `udp_probe`.
"""

import asyncio
import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from equipoise.node.probes.targets import UdpCheckTarget
from equipoise.node.probes.thresholds import Standing, judged
from equipoise.node.probes.udp_probe import UdpProbe
from equipoise.proxy.link import Member

OnHealth = Callable[[str, Mapping[Member, bool]], None]
"""Told the id of a load balancer and what is known anew of its members."""

BATCH: Final = 64
"""Checks handled in one turn of the event loop: bounds how long other work waits, and how many errors come at once."""

_FIRST_SECONDS: Final = 1.0


class Prober(Protocol):
    """What the schedule needs of `UdpProbe`."""

    def send(self, address: str, port: int) -> None: ...


@dataclass(eq=False, slots=True)
class _Check:
    """A target under way. `is_open` while the result of its last probe is awaited, `is_late` when a refusal of an
    earlier probe came after its time, `is_over` once nobody wants it any more."""

    target: UdpCheckTarget
    standing: Standing
    is_open: bool = False
    is_late: bool = False
    is_over: bool = False


@dataclass(order=True, slots=True)
class _Due:
    at: float
    number: int
    check: _Check = field(compare=False)
    act: Callable[[_Check, float], None] = field(compare=False)


class UdpSchedule:
    """Which probe is due when, and what its outcome makes of its member. Keeps no time and owns no socket.

    Args:
        on_health: told each time that a member turned, and the first time that anything is known of it.
        spread: a random number of 0 to its argument; so that checks which begin together do not stay together.
    """

    def __init__(
        self,
        probe: Prober,
        on_health: OnHealth,
        spread: Callable[[float], float] = lambda most: most * random.random(),  # noqa: S311 - spreads load
    ) -> None:
        self._probe = probe
        self._on_health = on_health
        self._spread = spread
        self._checks: dict[str, dict[Member, _Check]] = {}
        self._at_address: dict[tuple[str, int], dict[_Check, None]] = defaultdict(dict)
        self._due: list[_Due] = []
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return sum(len(checks) for checks in self._checks.values())

    def put(self, load_balancer_id: str, targets: Iterable[UdpCheckTarget], now: float) -> None:
        """Check these of a load balancer from now on, and no others. What goes on as it was keeps its rhythm."""
        before = self._checks.pop(load_balancer_id, {})
        checks: dict[Member, _Check] = {}
        for target in targets:
            known = before.get(target.member)
            if known is not None and known.target.is_as(target):
                checks[target.member] = before.pop(target.member)
            else:
                checks[target.member] = self._begin(target, now)
        for check in before.values():
            self._end(check)
        if checks:
            self._checks[load_balancer_id] = checks

    def known(self, load_balancer_id: str) -> Mapping[Member, bool]:
        """What is known of the members of a load balancer that are checked."""
        checks = self._checks.get(load_balancer_id, {})
        return {member: known for member, check in checks.items() if (known := check.standing.healthy) is not None}

    def run(self, now: float, most: int = BATCH) -> float | None:
        """Do what is due, not more than `most` of it. Returns when to be called again, None for not before a `put`."""
        for _ in range(most):
            if not self._due or self._due[0].at > now:
                break
            due = heapq.heappop(self._due)
            if not due.check.is_over:
                due.act(due.check, due.at if now - due.at < due.check.target.interval else now)
        return self._due[0].at if self._due else None

    def answered(self, address: str, port: int) -> None:
        """A member spoke."""
        for check in list(self._at_address.get((address, port), ())):
            if check.is_open:
                self._judge(check, passed=True)

    def unreachable(self, address: str, port: int) -> None:
        """A member cannot be reached. What is heard too late for one probe counts against the next."""
        for check in list(self._at_address.get((address, port), ())):
            if check.is_open:
                self._judge(check, passed=False)
            else:
                check.is_late = True

    def _begin(self, target: UdpCheckTarget, now: float) -> _Check:
        check = _Check(target, Standing(target.healthy))
        self._at_address[target.address, target.port][check] = None
        # Of whom nothing is known, something should be soon; the others need not all be asked at once after a restart.
        within = target.interval if target.healthy is not None else min(_FIRST_SECONDS, target.interval)
        self._plan(now + self._spread(within), check, self._send)
        return check

    def _end(self, check: _Check) -> None:
        check.is_over = True
        address = check.target.address, check.target.port
        del self._at_address[address][check]
        if not self._at_address[address]:
            del self._at_address[address]

    def _plan(self, at: float, check: _Check, act: Callable[[_Check, float], None]) -> None:
        heapq.heappush(self._due, _Due(at, next(self._numbers), check, act))

    def _send(self, check: _Check, at: float) -> None:
        target = check.target
        self._time_out(check, at)
        self._plan(at + target.interval, check, self._send)
        check.is_open = True
        if check.is_late:
            check.is_late = False
            self._judge(check, passed=False)
        elif target.timeout < target.interval:
            # A longer time-out ends with the interval, when the next probe is sent.
            self._plan(at + target.timeout, check, self._time_out)
        self._probe.send(target.address, target.port)

    def _time_out(self, check: _Check, _at: float) -> None:
        if check.is_open:
            self._judge(check, passed=True)

    def _judge(self, check: _Check, *, passed: bool) -> None:
        check.is_open = False
        target, before = check.target, check.standing.healthy
        check.standing = judged(check.standing, passed, target.healthy_threshold, target.unhealthy_threshold)
        healthy = check.standing.healthy
        if healthy is not None and healthy is not before:
            self._on_health(target.load_balancer_id, {target.member: healthy})


class UdpHealthChecker:
    """Checks what it is told to, on a socket of its own. Every node checks all members of its load balancers, as every
    proxy does over TCP.

    Args:
        on_health: told each time that a member turned, and the first time that anything is known of it.
    """

    def __init__(self, on_health: OnHealth) -> None:
        self._probe = UdpProbe(self._answered, self._unreachable)
        self._schedule = UdpSchedule(self._probe, on_health)
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to check, on the running event loop. Raises OSError."""
        self._probe.open()
        self._running = asyncio.create_task(self._run(), name="udp-health")

    async def failed(self) -> None:
        """Return only by raising: what ended the checks. Nothing does but a defect."""
        if self._running is not None:
            await asyncio.shield(self._running)

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._probe.close()

    def put(self, load_balancer_id: str, targets: Sequence[UdpCheckTarget]) -> None:
        """Check these of a load balancer from now on, and no others."""
        self._schedule.put(load_balancer_id, targets, asyncio.get_running_loop().time())
        self._wake.set()

    def known(self, load_balancer_id: str) -> Mapping[Member, bool]:
        """What is known of the members of a load balancer that are checked."""
        return self._schedule.known(load_balancer_id)

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            self._wake.clear()
            due_at = self._schedule.run(clock())
            if due_at is not None and due_at <= clock():
                # Others have their turn, and what came back for these probes is taken in.
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout_at(due_at):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _answered(self, address: str, port: int) -> None:
        self._schedule.answered(address, port)

    def _unreachable(self, address: str, port: int) -> None:
        self._schedule.unreachable(address, port)
