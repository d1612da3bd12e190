"""What is said between a node and us about one kind of resource, without the wire format it is said in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from equipoise.backends.envoy.build.resource import Resource
from equipoise.proxy.model import ListenAddress
from equipoise.proxy.rejections import RejectedResource


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """From the node: its wishes, and the acceptance or (with an `error`) the rejection of the push of this `nonce`."""

    type_url: str
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Push:
    """To the node: resources that it is to have from now on, and names that it is to have no longer.

    `vacates` are the listen addresses, as far as they are known, that it gives up with the latter.
    """

    type_url: str
    nonce: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...]
    vacates: tuple[ListenAddress, ...] = ()


@dataclass(slots=True)
class Consequences:
    """What follows from the state of a node: pushes, in this order, and what the controller must hear.

    `in_force` are the load balancers of which nothing is open any more, whether they have moved or not; those that
    nobody wants any more are among them.
    """

    pushes: list[Push] = field(default_factory=list)
    confirmed: dict[str, int] = field(default_factory=dict)
    rejected: list[RejectedResource] = field(default_factory=list)
    in_force: list[str] = field(default_factory=list)
