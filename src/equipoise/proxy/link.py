"""What a controller and a node say to each other. By what way the messages travel is not known here.

A node belongs to one controller at a time, for one session. It says hello when its proxy is there, learns the number of
its session and then all that it has to have in force. From then on it is told what changes, and tells what became of
it. Messages of one direction arrive in the order in which they were sent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from equipoise.core.traffic import Traffic
from equipoise.proxy.model import ProxyLoadBalancer
from equipoise.proxy.rejections import RejectedResource

Member = tuple[str, str]
"""The id of a pool and the address of one of its members."""


class PublishedVersion(NamedTuple):
    """Of a load balancer: its generation, and the revision of the database up to which that is its newest state."""

    generation: int
    revision: int


class Removal(NamedTuple):
    """A member that was removed from a pool. Its connections end `ends_in` seconds from now, but not before this
    generation of its load balancer is in force; 0 or less: then at once."""

    pool_id: str
    address: str
    generation: int
    ends_in: float


@dataclass(frozen=True, slots=True)
class Published:
    """The state of a load balancer that is to be in force."""

    load_balancer_id: str
    version: PublishedVersion
    model: ProxyLoadBalancer
    removals: tuple[Removal, ...] = ()


# To a node


@dataclass(frozen=True, slots=True)
class Greeting:
    """A controller was reached that knows nothing of the node yet: it has to say hello when its proxy is there."""


@dataclass(frozen=True, slots=True)
class Attached:
    """The controller has taken the node over, which said hello with that number. `lease` is in seconds from then on,
    None: nobody else can have it."""

    session: int
    hello: int
    lease: float | None = None


@dataclass(frozen=True, slots=True)
class Renewed:
    """The lease runs from the renewal of this number on."""

    number: int


@dataclass(frozen=True, slots=True)
class Detached:
    """The session does not hold any more: the node has to say hello again."""


@dataclass(frozen=True, slots=True)
class Assign:
    """Let these states be in force from now on, in place of those of before."""

    states: Sequence[Published]


@dataclass(frozen=True, slots=True)
class Gone:
    """These load balancers do not exist any more."""

    load_balancer_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class AllAssigned:
    """Everything was assigned since `Attached`: a load balancer that was not is gone."""


@dataclass(frozen=True, slots=True)
class AcknowledgeRejection:
    """What was rejected of this or an earlier generation is known and need not hold the rest up."""

    load_balancer_id: str
    generation: int


ToNode = Greeting | Attached | Renewed | Detached | Assign | Gone | AllAssigned | AcknowledgeRejection


# To a controller


@dataclass(frozen=True, slots=True)
class Hello:
    """The proxy of the node is there. What is in force will be told anew. Only the answer to the newest one counts."""

    number: int


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The proxy of the node has gone."""

    session: int


@dataclass(frozen=True, slots=True)
class Renew:
    """The node is there and asks for the time of another lease."""

    session: int
    number: int


@dataclass(frozen=True, slots=True)
class UpToDate:
    """All that was assigned has been handed to the proxy, and its limits are in force."""

    session: int


class ShortfallKind(Enum):
    """What a node cannot do of what it was told."""

    BANDWIDTH = auto()
    CONNECTIONS = auto()


class Shortfall(NamedTuple):
    """Why these load balancers are in force without something, as a part of a sentence."""

    kind: ShortfallKind
    reason: str
    load_balancer_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """These versions of load balancers are fully in force, but for the shortfalls."""

    session: int
    versions: Mapping[str, PublishedVersion]
    shortfalls: Sequence[Shortfall] = ()


@dataclass(frozen=True, slots=True)
class ResourcesRejected:
    """The node does not take these resources and keeps what it had; they are not tried again unasked."""

    session: int
    rejections: Sequence[RejectedResource]


@dataclass(frozen=True, slots=True)
class HealthSeen:
    """Members that were seen healthy or not: over UDP by checks of the node, else by those of its proxy."""

    session: int
    over_udp: bool
    seen: Mapping[Member, bool]


@dataclass(frozen=True, slots=True)
class TrafficSeen:
    """The newest samples, of all load balancers that have traffic. The controller sets their time."""

    session: int
    samples: Sequence[Traffic]


ToController = Hello | Goodbye | Renew | UpToDate | Confirmed | ResourcesRejected | HealthSeen | TrafficSeen

SendToNode = Callable[[ToNode], None]
SendToController = Callable[[ToController], None]
