"""Envoy as a data plane (`equipoise.proxy.backend`): proxy models become resources, which travel over the stream."""

from collections.abc import Iterable

from equipoise.backends.envoy.build.builders import build
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.proxy.backend import Published


def desired_of(state: Published) -> DesiredResources:
    """What of a state is to be in force."""
    resources = () if state.model is None else build(state.model)
    return DesiredResources(state.load_balancer_id, state.generation, resources)


class EnvoyBackend:
    """The nodes of Envoy that are connected to a control stream. What they tell, the stream's observer hears."""

    def __init__(self, stream: AdsServer) -> None:
        self._stream = stream

    def publish(self, states: Iterable[Published]) -> None:
        self._stream.publish(map(desired_of, states))

    def forget(self, load_balancer_id: str) -> None:
        self._stream.forget(load_balancer_id)

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        self._stream.acknowledge_rejection(load_balancer_id, generation)

    def ready(self) -> None:
        self._stream.ready()
