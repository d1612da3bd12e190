"""Envoy as a data plane (`equipoise.proxy.backend`): proxy models become resources, which travel over the stream."""

from collections.abc import Iterable, Mapping, Sequence

from equipoise.backends.envoy.build.builders import build
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.proxy.backend import NodeObserver, Published
from equipoise.proxy.rejections import RejectedResource


def desired_of(state: Published) -> DesiredResources:
    """What of a state is to be in force."""
    resources = () if state.model is None else build(state.model)
    return DesiredResources(state.load_balancer_id, state.generation, resources)


class EnvoyBackend:
    """The Envoy of one node, on its control stream.

    Args:
        node_id: of the node among all that a controller knows.
    """

    def __init__(self, stream: AdsServer, node_id: str) -> None:
        self._stream = stream
        self._node_id = node_id

    def told_to(self, observer: NodeObserver) -> NodeObserver:
        """What the stream is to tell, so that the observer hears it of the node of that id."""
        return _NodeOfStream(observer, self._node_id)

    def publish(self, states: Iterable[Published]) -> None:
        self._stream.publish(map(desired_of, states))

    def forget(self, load_balancer_id: str) -> None:
        self._stream.forget(load_balancer_id)

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        self._stream.acknowledge_rejection(load_balancer_id, generation)

    def reconnect(self, _node_id: str) -> None:
        self._stream.reconnect()

    def ready(self) -> None:
        self._stream.ready()


class _NodeOfStream:
    """Tells of Envoy by the id of its node: on its own stream each Envoy has the same one."""

    def __init__(self, observer: NodeObserver, node_id: str) -> None:
        self._observer = observer
        self._node_id = node_id

    def node_connected(self, _node_id: str) -> None:
        self._observer.node_connected(self._node_id)

    def node_disconnected(self, _node_id: str) -> None:
        self._observer.node_disconnected(self._node_id)

    def confirmed(self, _node_id: str, generations: Mapping[str, int]) -> None:
        self._observer.confirmed(self._node_id, generations)

    def rejected(self, _node_id: str, rejections: Sequence[RejectedResource]) -> None:
        self._observer.rejected(self._node_id, rejections)
