"""Stands for the checks that a node makes over UDP."""

from collections.abc import Mapping, Sequence

from equipoise.node.probes.targets import UdpCheckTarget
from equipoise.node.probes.udp_health import OnHealth
from equipoise.proxy.link import Member


class FakeChecks:
    """Says of members what a test wants."""

    def __init__(self, on_health: OnHealth) -> None:
        self._on_health = on_health
        self._load_balancers: dict[Member, str] = {}
        self._known: dict[Member, bool] = {}
        self.targets: dict[str, Sequence[UdpCheckTarget]] = {}

    def start(self) -> None: ...

    async def failed(self) -> None: ...

    async def stop(self) -> None: ...

    def put(self, load_balancer_id: str, targets: Sequence[UdpCheckTarget]) -> None:
        self.targets[load_balancer_id] = targets
        self._load_balancers.update((each.member, load_balancer_id) for each in targets)
        told = {each.member: each.healthy for each in targets}
        self._known = {member: known for member, known in self._known.items() if member in told} | {
            member: known for member, known in told.items() if known is not None and member not in self._known
        }

    def known(self, load_balancer_id: str) -> Mapping[Member, bool]:
        return {m: known for m, known in self._known.items() if self._load_balancers[m] == load_balancer_id}

    def see(self, seen: Mapping[Member, bool]) -> None:
        """Let that be the outcome of checks."""
        self._known.update(seen)
        for member, healthy in seen.items():
            self._on_health(self._load_balancers[member], {member: healthy})
