"""What there is on a node to count: the listeners and members of its load balancers, known from their models."""

from collections.abc import Iterable, Iterator
from sys import intern
from typing import NamedTuple

from equipoise.proxy.link import Member
from equipoise.proxy.model import ListenAddress, ProxyLoadBalancer


class ServedListener(NamedTuple):
    """A listener and where it takes in traffic."""

    load_balancer_id: str
    id: str
    listen_address: ListenAddress


class _Of(NamedTuple):
    """Of one load balancer; `idle` are the ids of listeners and pools that serve nothing now."""

    listeners: tuple[ServedListener, ...]
    members: tuple[Member, ...]
    idle: tuple[str, ...]


class Served:
    """Knows what there is. It is kept for long, of thousands: so only what is needed."""

    def __init__(self) -> None:
        self._of: dict[str, _Of] = {}

    def put(self, model: ProxyLoadBalancer) -> None:
        """That is what there is of a load balancer from now on."""
        id = model.load_balancer_id
        self._of[id] = _Of(
            tuple(
                ServedListener(id, each.listener_id, ListenAddress(each.transport, model.address, each.port))
                for each in model.listeners
            ),
            tuple({(pool.pool_id, intern(member.address)) for pool in model.pools for member in pool.members}),
            model.idle,
        )

    def forget(self, load_balancer_ids: Iterable[str]) -> None:
        """These load balancers do not exist any more."""
        for id in load_balancer_ids:
            self._of.pop(id, None)

    @property
    def listeners(self) -> Iterator[ServedListener]:
        """Those that serve."""
        return (listener for of in self._of.values() for listener in of.listeners)

    @property
    def members(self) -> Iterator[Member]:
        """The members of pools that serve."""
        return (member for of in self._of.values() for member in of.members)

    @property
    def idle(self) -> Iterator[str]:
        """The ids of listeners and pools that exist and serve nothing now."""
        return (id for of in self._of.values() for id in of.idle)
