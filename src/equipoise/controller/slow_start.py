"""Which members have come back after a failed health check, and how much of their share they get until they are warm.

Envoy has a slow start of its own. It takes a member that was just added for one that has come back, so shares are sent
as weights instead. A member has its first share from its failure on: when it passes its check again, what Envoy knows
of it is already so. The next ones follow in equal steps. What is known here is not stored: after a restart of the
service members that can serve have their full share, those that fail then their first.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from equipoise.core.model import Algorithm, Pool, Protocol
from equipoise.store.desired import DesiredLoadBalancer

FULL_SHARE: Final = 10
"""Of the weight of a member."""

FIRST_SHARE: Final = 1
"""Of `FULL_SHARE`; a share for each step until it is whole."""

Shares = Mapping[str, Mapping[str, int]]
"""By pool and address of a member, where it is not the full one."""


@dataclass(slots=True)
class _Known:
    """Of one pool: the addresses that fail, and when those came back that have not their full share yet."""

    failing: frozenset[str] = frozenset()
    back_since: dict[str, float] = field(default_factory=dict)


class SlowStart:
    """Keeps what is known of members that failed.

    Args:
        seconds: from the return of a member to its full share; 0 for no slow start.
        clock: tells seconds that only ever rise.
    """

    def __init__(self, seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.step = seconds / FULL_SHARE
        self._clock = clock
        self._known: dict[str, dict[str, _Known]] = {}

    def shares(self, desired: DesiredLoadBalancer) -> Shares:
        """Take over who fails now, and return the shares of the members of a load balancer at this moment."""
        id = desired.load_balancer.id
        before = self._known.pop(id, {})
        now = self._clock()
        known = {each.id: self._of(desired, each, before.get(each.id, _Known()), now) for each in self._slow(desired)}
        if kept := {id: each for id, each in known.items() if each.failing or each.back_since}:
            self._known[id] = kept
        return {
            id: dict.fromkeys(each.failing, FIRST_SHARE)
            | {address: self._share(now - since) for address, since in each.back_since.items()}
            for id, each in kept.items()
        }

    def forget(self, load_balancer_id: str) -> None:
        self._known.pop(load_balancer_id, None)

    def under_way(self) -> Sequence[str]:
        """The load balancers with members whose share rises."""
        return [id for id, known in self._known.items() if any(each.back_since for each in known.values())]

    def _slow(self, desired: DesiredLoadBalancer) -> Iterator[Pool]:
        """Only where there is a check, and members take turns: with the fewest connections a member never has more of
        them than the others, and which one a hash hits is not to depend on time. UDP is not slowed down either."""
        for each in desired.pools.values():
            takes_turns = each.protocol != Protocol.UDP and each.algorithm == Algorithm.ROUND_ROBIN
            if self.step and takes_turns and each.id in desired.health_monitors:
                yield each

    def _of(self, desired: DesiredLoadBalancer, pool: Pool, before: _Known, now: float) -> _Known:
        members = desired.members.get(pool.id, ())
        failing = frozenset(member.address for member in members if member.failing)
        well = {member.address for member in members} - failing
        since = dict.fromkeys(before.failing & well, now) | before.back_since
        return _Known(
            failing,
            {
                address: moment
                for address, moment in since.items()
                if address in well and self._share(now - moment) < FULL_SHARE
            },
        )

    def _share(self, seconds: float) -> int:
        return min(FULL_SHARE, FIRST_SHARE + int(seconds / self.step))
