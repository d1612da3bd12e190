"""What a proxy is to its node: it is handed models, and tells what it makes of them.

A backend compiles a model into what its proxy takes, applies it and observes. Envoy is the first one
(`equipoise.backends.envoy.backend`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from equipoise.proxy.link import Published
from equipoise.proxy.rejections import RejectedResource


class Backend(Protocol):
    """What a node needs of a proxy."""

    def publish(self, states: Iterable[Published]) -> None:
        """Let these states be in force from now on, in place of those of before."""

    def withdraw(self, load_balancer_ids: Iterable[str]) -> None:
        """These do not exist any more: nothing of them is to be in force."""

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        """Whatever was rejected of this or an earlier generation is known and need not hold it up."""

    def ready(self) -> None:
        """All that is desired has been published: what is not among it is superfluous."""


class ProxyObserver(Protocol):
    """Called on the event loop; must not block, raise or call the backend back."""

    def node_connected(self, proxy_id: str) -> None:
        """The proxy is there; everything will be confirmed or rejected anew."""

    def node_disconnected(self, proxy_id: str) -> None:
        """It has gone, or was replaced by another one, whose `node_connected` then follows."""

    def confirmed(self, proxy_id: str, generations: Mapping[str, int]) -> None:
        """The generation of each of these load balancers, by id, is now fully in force."""

    def rejected(self, proxy_id: str, rejections: Sequence[RejectedResource]) -> None:
        """It rejected these resources and keeps what it had; they are not sent to it again unasked."""
