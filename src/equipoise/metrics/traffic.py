"""The lines about load balancers, listeners and members, made of the newest look at the data plane.

They are made when they are asked for, some at a time: kept, they would take megabytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from equipoise.core.traffic import RESPONSE_TIMES
from equipoise.metrics import families
from equipoise.metrics.exposition import Family, pairs
from equipoise.node.telemetry.traffic import Look
from equipoise.node.telemetry.traffic_reading import ListenerCounts, MemberCounts
from equipoise.store.inventory import Inventory, ListenerLabels, MemberLabels

_UDP: Final = "UDP"
_OVER_HTTP: Final = frozenset({"HTTP", "HTTPS"})

_OF_ALL: Final = families.CONNECTIONS.labels
"""With these begin the labels of all that is about a listener or member."""

_AT_ONCE: Final = 500
"""Of so many listeners or members the lines are made in one go: a few milliseconds."""

T = TypeVar("T")

One = tuple[str, tuple[int, ...]]
"""A listener or member: its labels as they are written, and its metrics."""


class TrafficMetrics:
    """Takes looks in and gives the newest out."""

    def __init__(self) -> None:
        self._look: Look | None = None
        self._inventory: Inventory | None = None

    def take(self, look: Look, inventory: Inventory) -> None:
        """From now on this is what is shown: of all that exists, what was seen of it."""
        self._look = look
        self._inventory = inventory

    @property
    def is_up(self) -> bool | None:
        """Whether Envoy answered at the newest look; None before the first."""
        return None if self._look is None else self._look.is_up

    def lines(self) -> Iterator[str]:
        """All about traffic; nothing before the first look."""
        look, inventory = self._look, self._inventory
        if look is not None and inventory is not None:
            yield from families.SAMPLE_TIME.lines([((), look.moment / 1000)])
            yield from families.LOAD_BALANCER.lines((each, 1) for each in inventory.load_balancers)
            listeners = [(_labels_of(each), each) for each in inventory.listeners]
            yield from _about(listeners)
            yield from _of_listeners(look, listeners)
            yield from _of_members(look, listeners, inventory.members)


def _labels_of(each: ListenerLabels) -> str:
    return pairs(_OF_ALL, (each.load_balancer_id, each.load_balancer, each.id, each.name))


def _about(listeners: Sequence[tuple[str, ListenerLabels]]) -> Iterator[str]:
    name, others = families.LISTENER.name, families.LISTENER.labels[len(_OF_ALL) :]
    yield families.LISTENER.head()
    for labels, each in listeners:
        yield f"{name}{{{labels},{pairs(others, (each.project_id, each.protocol, str(each.port)))}}} 1\n"


def _of_listeners(look: Look, listeners: Sequence[tuple[str, ListenerLabels]]) -> Iterator[str]:
    nothing, counts = ListenerCounts(), look.listeners
    every = [(labels, counts.get(each.id, nothing)) for labels, each in listeners]
    over_http = [one for one, (_, each) in zip(every, listeners, strict=True) if each.protocol in _OVER_HTTP]
    if look.is_up:
        name = families.OPEN.name
        yield families.OPEN.head()
        for some in _parts(every):
            yield "".join(
                f'{name}{{{labels},state="active"}} {of.active}\n{name}{{{labels},state="idle"}} {of.idle}\n'
                for labels, of in some
            )
    yield from _plain(families.CONNECTIONS, every, "connections")
    yield from _plain(families.REFUSED, every, "refused")
    yield from _plain(families.RECEIVED, every, "in_bytes")
    yield from _plain(families.SENT, every, "out_bytes")
    if look.packets_are_counted:
        yield from _plain(families.PACKETS_RECEIVED, every, "in_packets")
        yield from _plain(families.PACKETS_SENT, every, "out_packets")
    yield from _of_requests(over_http)
    yield from _of_times(over_http)


def _of_requests(listeners: Sequence[tuple[str, ListenerCounts]]) -> Iterator[str]:
    name = families.REQUESTS.name
    yield families.REQUESTS.head()
    for some in _parts(listeners):
        yield "".join(
            f'{name}{{{labels},code="1xx"}} {of.answers_1xx}\n{name}{{{labels},code="2xx"}} {of.answers_2xx}\n'
            f'{name}{{{labels},code="3xx"}} {of.answers_3xx}\n{name}{{{labels},code="4xx"}} {of.answers_4xx}\n'
            f'{name}{{{labels},code="5xx"}} {of.answers_5xx}\n'
            for labels, of in some
        )


def _of_times(listeners: Sequence[tuple[str, ListenerCounts]]) -> Iterator[str]:
    name = families.RESPONSE_TIME.name
    bounds = [f"{bound:g}" for bound in families.RESPONSE_TIME.bounds]
    first = ListenerCounts._fields.index(f"within_{RESPONSE_TIMES[0]}")
    yield families.RESPONSE_TIME.head()
    for some in _parts(listeners):
        lines = []
        for labels, of in some:
            within: tuple[int, ...] = of
            begin = f"{name}_bucket{{{labels},le="
            buckets = [f'{begin}"{bound}"}} {within[at]}\n' for at, bound in enumerate(bounds, start=first)]
            lines += buckets
            lines.append(
                f'{begin}"+Inf"}} {of.timed}\n{name}_sum{{{labels}}} {of.milliseconds / 1000}\n'
                f"{name}_count{{{labels}}} {of.timed}\n"
            )
        yield "".join(lines)


def _of_members(
    look: Look, listeners: Sequence[tuple[str, ListenerLabels]], members: Iterable[MemberLabels]
) -> Iterator[str]:
    known = {each.id: (labels, each.protocol) for labels, each in listeners}
    own = families.MEMBER_CONNECTIONS.labels[len(_OF_ALL) :]
    nothing, counts = MemberCounts(), look.members
    told: list[One] = []
    counted: list[One] = []
    over_http: list[One] = []
    for each in members:
        of_listener, protocol = known[each.listener_id]
        labels = f"{of_listener},{pairs(own, (each.id, each.address))}"
        if each.is_checked and each.healthy is not None:
            told.append((labels, (each.healthy,)))
        one = labels, counts.get((each.pool_id, each.address), nothing)
        if protocol != _UDP:
            counted.append(one)
        if protocol in _OVER_HTTP:
            over_http.append(one)
    yield families.MEMBER_HEALTHY.head()
    yield from (f"{families.MEMBER_HEALTHY.name}{{{labels}}} {healthy:d}\n" for labels, (healthy,) in told)
    if look.is_up:
        yield from _plain(families.MEMBER_OPEN, counted, "active")
    yield from _plain(families.MEMBER_CONNECTIONS, counted, "connections")
    yield from _plain(families.MEMBER_FAILED, counted, "failed_connections")
    yield from _plain(families.MEMBER_REQUESTS, over_http, "requests")
    yield from _plain(families.MEMBER_SUCCEEDED, over_http, "successful_requests")


def _plain(family: Family, those: Sequence[One], field: str) -> Iterator[str]:
    kind = MemberCounts if family.labels == families.MEMBER_CONNECTIONS.labels else ListenerCounts
    name, column = family.name, kind._fields.index(field)
    yield family.head()
    for some in _parts(those):
        yield "".join([f"{name}{{{labels}}} {numbers[column]}\n" for labels, numbers in some])


def _parts(those: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(those)
    while some := list(islice(remaining, _AT_ONCE)):
        yield some
