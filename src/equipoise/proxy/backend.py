"""What a data plane is to a controller: it is handed proxy models, and tells what its nodes make of them.

A backend compiles a model into what its proxies take, applies it on every node, and observes. Envoy is the first one
(`equipoise.backends.envoy.backend`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from equipoise.proxy.model import ProxyLoadBalancer
from equipoise.proxy.rejections import RejectedResource


class PublishedVersion(NamedTuple):
    """Which state of a load balancer: its generation, which users raise, and the revision of its last change.

    A generation has several revisions where the health of members moves.
    """

    generation: int
    revision: int


@dataclass(frozen=True, slots=True)
class Published:
    """One generation of a load balancer; without a model there is no such load balancer any more.

    `revision` is that of its last change, which may be one of its members' health.
    """

    load_balancer_id: str
    generation: int
    revision: int
    model: ProxyLoadBalancer | None


class Backend(Protocol):
    """What a controller needs of a data plane."""

    def publish(self, states: Iterable[Published]) -> None:
        """Let these states be in force from now on, in place of those of before."""

    def forget(self, load_balancer_id: str) -> None:
        """It does not exist any more, and whatever was in force of it is gone."""

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        """Whatever was rejected of this or an earlier generation is known and need not hold it up."""

    def reconnect(self, node_id: str) -> None:
        """Let the node connect anew: everything is then confirmed or rejected once more."""

    def ready(self) -> None:
        """All that is desired has been published: what is not among it is superfluous."""


class NodeObserver(Protocol):
    """Called on the event loop, from within a call of the backend only for `reconnect`, and for `publish` of what is in
    force already; must not block nor raise."""

    def node_connected(self, node_id: str) -> None:
        """A stream of that node was opened; everything will be confirmed or rejected on it anew."""

    def node_disconnected(self, node_id: str) -> None:
        """Its stream is gone, or was replaced by a newer one, whose `node_connected` then follows."""

    def confirmed(self, node_id: str, versions: Mapping[str, PublishedVersion]) -> None:
        """These versions of load balancers, by id, are now fully in force on that node."""

    def rejected(self, node_id: str, rejections: Sequence[RejectedResource]) -> None:
        """That node rejected these resources and keeps what it had; they are not sent to it again unasked."""
