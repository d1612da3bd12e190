"""Envoy as a data plane (`equipoise.proxy.backend`): proxy models become resources, which travel over the stream."""

from collections.abc import Iterable, Mapping, Sequence

from equipoise.backends.envoy.build.builders import build
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.backends.envoy.xds.observer import StreamObserver
from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.proxy.backend import NodeObserver, Published, PublishedVersion
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
        self._newest: dict[str, PublishedVersion] = {}
        self._node: _NodeOfStream | None = None

    def told_to(self, observer: NodeObserver) -> StreamObserver:
        """What the stream is to tell, so that the observer hears it of the node of that id, in versions."""
        self._node = _NodeOfStream(observer, self._node_id, self._newest)
        return self._node

    def publish(self, states: Iterable[Published]) -> None:
        published = list(states)
        self._stream.publish(map(desired_of, published))
        moved = []
        for each in published:
            id, version = each.load_balancer_id, PublishedVersion(each.generation, each.revision)
            before = self._newest.get(id, version)
            # The stream ignores an older generation, too.
            if version.generation >= before.generation:
                self._newest[id] = version
            # An older revision is of a database that has fallen back: what is in force may be of a lost change.
            if version > before:
                moved.append(id)
        if self._node is not None:
            self._node.moved(moved)

    def forget(self, load_balancer_id: str) -> None:
        self._newest.pop(load_balancer_id, None)
        if self._node is not None:
            self._node.forget(load_balancer_id)
        self._stream.forget(load_balancer_id)

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        self._stream.acknowledge_rejection(load_balancer_id, generation)

    def reconnect(self, _node_id: str) -> None:
        self._stream.reconnect()

    def ready(self) -> None:
        self._stream.ready()


class _NodeOfStream:
    """Tells of Envoy by the id of its node: on its own stream each Envoy has the same one.

    Args:
        newest: the versions that were published last, as they are at any moment.
    """

    def __init__(self, observer: NodeObserver, node_id: str, newest: Mapping[str, PublishedVersion]) -> None:
        self._observer = observer
        self._node_id = node_id
        self._newest = newest
        # The generations that are in force, by load balancer; the stream tells of each once.
        self._in_force: dict[str, int] = {}

    def node_connected(self, _node_id: str) -> None:
        self._in_force.clear()
        self._observer.node_connected(self._node_id)

    def node_disconnected(self, _node_id: str) -> None:
        self._in_force.clear()
        self._observer.node_disconnected(self._node_id)

    def confirmed(self, _node_id: str, generations: Mapping[str, int]) -> None:
        self._in_force.update(generations)
        self._tell(generations)

    def rejected(self, _node_id: str, rejections: Sequence[RejectedResource]) -> None:
        self._observer.rejected(self._node_id, rejections)

    def moved(self, load_balancer_ids: Iterable[str]) -> None:
        """These have a newer version, which may be of a generation that is in force already."""
        self._tell(load_balancer_ids)

    def forget(self, load_balancer_id: str) -> None:
        self._in_force.pop(load_balancer_id, None)

    def _tell(self, load_balancer_ids: Iterable[str]) -> None:
        """Tell of those whose newest generation is in force; of an older one the newer one will tell."""
        newest = {id: self._newest[id] for id in load_balancer_ids if id in self._newest}
        if versions := {id: one for id, one in newest.items() if self._in_force.get(id) == one.generation}:
            self._observer.confirmed(self._node_id, versions)
