"""The book that is kept on one kind of resource on one stream. What follows from it is decided in `node_state`."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.type_urls import WILDCARD
from equipoise.proxy.model import ListenAddress


@dataclass(frozen=True, slots=True)
class Held:
    """A resource that Envoy accepted. `owner` is None where only an earlier life of ours knew it: then it is
    not known either where a listener leads to."""

    version: str
    load_balancer_id: str
    owner: str | None
    leads_to: str | None = None
    listen_address: ListenAddress | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A resource as it was sent: in which generation of which load balancer."""

    resource: Resource
    load_balancer_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Rejection:
    version: str
    generation: int


@dataclass(slots=True)
class InFlight:
    """A push without an answer yet.

    `void` names what Envoy will have forgotten by the time it answers, `leads_to` the pools to which its listeners
    lead, and `of_load_balancer` tells whose it is.
    """

    nonce: str
    sent: dict[str, Sent]
    removed: frozenset[str]
    void: set[str] = field(default_factory=set)
    leads_to: frozenset[str] = field(init=False)
    of_load_balancer: dict[str, list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.leads_to = frozenset(sent.resource.leads_to for sent in self.sent.values())
        self.of_load_balancer = {}
        for name, sent in self.sent.items():
            self.of_load_balancer.setdefault(sent.load_balancer_id, []).append(name)

    def touches(self, name: str) -> bool:
        return name in self.sent or name in self.removed


@dataclass(slots=True)
class Draft:
    """What the next push could hold."""

    add: dict[str, Sent] = field(default_factory=dict)
    remove: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class KindState:
    """One kind of resource.

    `reported` came with the stream and was not compared yet; `asked` are names that Envoy waits for and that
    nobody wants as far as is known; `halves` are the parts in which a push rejected as a whole is sent again,
    and while there are any, the names of the first one are all that is sent.
    """

    type_url: str
    requested: bool = False
    answered: bool = False
    reported: dict[str, str] = field(default_factory=dict)
    subscribed: set[str] = field(default_factory=set)
    asked: dict[str, None] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    rejected: dict[str, Rejection] = field(default_factory=dict)
    halves: deque[frozenset[str]] = field(default_factory=deque)
    in_flight: InFlight | None = None

    @property
    def is_free(self) -> bool:
        """Whether a push may be sent: one at a time, and none before Envoy asked for the first."""
        return self.requested and self.in_flight is None

    def is_moving(self, name: str) -> bool:
        return self.in_flight is not None and self.in_flight.touches(name)

    def wants(self, name: str) -> bool:
        return self.type_url in WILDCARD or name in self.subscribed

    def may_send(self, name: str) -> bool:
        return self.is_free and self.wants(name) and (not self.halves or name in self.halves[0])

    def subscribe(self, names: Iterable[str]) -> None:
        """A name that is asked for must be answered, even if we think that Envoy has it."""
        for name in names:
            self.subscribed.add(name)
            self.asked[name] = None
            self.forget(name)

    def unsubscribe(self, names: Iterable[str]) -> None:
        for name in names:
            self.subscribed.discard(name)
            self.asked.pop(name, None)
            self.forget(name)

    def forget(self, name: str) -> None:
        """Note that Envoy has lost what it had under this name, also what it is being sent just now."""
        self.held.pop(name, None)
        self.reported.pop(name, None)
        if self.in_flight is not None:
            self.in_flight.void.add(name)

    def bisect(self, names: Iterable[str]) -> None:
        """Take a push that was rejected as a whole apart: the halves are sent one after the other."""
        ordered = sorted(names)
        middle = len(ordered) // 2
        if self.halves:
            self.halves.popleft()
        self.halves.extendleft((frozenset(ordered[middle:]), frozenset(ordered[:middle])))

    def drop_half(self) -> None:
        """Note that the part which was sent has been answered for good."""
        if self.halves:
            self.halves.popleft()
