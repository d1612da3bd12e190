"""Envoy as a proxy (`equipoise.proxy.backend`): models become resources, which travel over its stream."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from equipoise.backends.envoy.build.builders import build
from equipoise.backends.envoy.xds.desired import DesiredResources
from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.proxy.backend import ProxyObserver
from equipoise.proxy.link import Published
from equipoise.proxy.rejections import RejectedResource

_LAST_GENERATION: Final = 2**62
"""Of a load balancer that no longer exists: above any that it can have had."""


def desired_of(state: Published) -> DesiredResources:
    """What of a state is to be in force."""
    return DesiredResources(state.load_balancer_id, state.version.generation, build(state.model))


class EnvoyBackend:
    """The Envoy of one node, on its control stream."""

    def __init__(self, stream: AdsServer) -> None:
        self._stream = stream

    async def start(self, observer: ProxyObserver) -> None:
        """Open the stream and tell the observer. Raises OSError, RuntimeError: the socket cannot be made."""
        await self._stream.start(_Forgetting(self._stream, observer))

    async def stop(self) -> None:
        """End the stream. Envoy goes on serving what it has."""
        await self._stream.stop()

    def publish(self, states: Iterable[Published]) -> None:
        self._stream.publish(map(desired_of, states))

    def withdraw(self, load_balancer_ids: Iterable[str]) -> None:
        self._stream.publish(DesiredResources(id, _LAST_GENERATION, ()) for id in load_balancer_ids)

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        self._stream.acknowledge_rejection(load_balancer_id, generation)

    def ready(self) -> None:
        self._stream.ready()


class _Forgetting:
    """Lets the stream forget what was withdrawn once that is in force, and tells the rest."""

    def __init__(self, stream: AdsServer, observer: ProxyObserver) -> None:
        self._stream = stream
        self._observer = observer
        self.node_connected = observer.node_connected
        self.node_disconnected = observer.node_disconnected

    def confirmed(self, proxy_id: str, generations: Mapping[str, int]) -> None:
        for id, generation in generations.items():
            if generation == _LAST_GENERATION:
                self._stream.forget(id)
        self._observer.confirmed(proxy_id, {id: each for id, each in generations.items() if each != _LAST_GENERATION})

    def rejected(self, proxy_id: str, rejections: Sequence[RejectedResource]) -> None:
        self._observer.rejected(proxy_id, rejections)
