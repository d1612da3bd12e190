"""What the data plane tells the controller: which nodes are there, what they confirmed and what they refused.

And what whoever counts is told, of which nothing depends.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from equipoise.proxy.rejections import Refused


class NodeObserver(Protocol):
    """Called on the event loop, never from within a call of `AdsServer`; must not block and must not raise."""

    def node_connected(self, node_id: str) -> None:
        """A stream of that node was opened; everything will be confirmed or refused on it anew."""

    def node_disconnected(self, node_id: str) -> None:
        """Its stream is gone, or was replaced by a newer one, whose `node_connected` then follows."""

    def confirmed(self, node_id: str, generations: Mapping[str, int]) -> None:
        """The generation of each of these load balancers, by id, is now fully in force on that node."""

    def refused(self, node_id: str, refusals: Sequence[Refused]) -> None:
        """That node refused these resources and keeps what it had; they are not sent to it again unasked."""


class StreamWatcher:
    """Called while things happen on the stream; must not block, must not raise and must not call back.

    This one counts nothing; those that do are made from it.
    """

    def connected(self, node_id: str, load_balancer_ids: Iterable[str]) -> None:
        """A stream began, on which none of these load balancers is confirmed yet."""

    def disconnected(self, node_id: str) -> None:
        """The stream ended and no newer one has taken its place."""

    def published(self, load_balancer_ids: Iterable[str]) -> None:
        """The desired state of these is newer than what nodes confirmed."""

    def confirmed(self, node_id: str, load_balancer_ids: Iterable[str]) -> None:
        """The node has the newest desired state of these."""

    def pushed(self, node_id: str, type_url: str, nonce: str, resources: int) -> None:
        """A message was handed to the stream, of so many resources and removals."""

    def answered(self, node_id: str, type_url: str, nonce: str, *, accepted: bool) -> None:
        """The node sent a message; it answers the one of that nonce, if that is not empty."""


NOBODY: Final = StreamWatcher()
