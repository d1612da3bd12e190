"""What whoever counts is told of the control stream; nothing depends on it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from equipoise.proxy.backend import ProxyObserver
from equipoise.proxy.rejections import RejectedResource


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


class _Unobserved:
    """Stands where there is no controller: the standby keeps Envoy at what was last in force and asks for nothing."""

    def node_connected(self, node_id: str) -> None: ...

    def node_disconnected(self, node_id: str) -> None: ...

    def confirmed(self, node_id: str, generations: Mapping[str, int]) -> None: ...

    def rejected(self, node_id: str, rejections: Sequence[RejectedResource]) -> None: ...


NOBODY_ASKS: Final[ProxyObserver] = _Unobserved()
