"""How many sessions of UDP each listener may have, so that all together never need more than their node has.

Envoy limits the sessions of each cluster and has no limit on all. So what a node has is divided equally among its
listeners over UDP. A share changes with every listener that comes or goes; it is sent as a value of Envoy's runtime,
which takes the place of what the cluster says without touching the sessions that there are.
"""

from collections.abc import Iterable
from typing import Final

from envoy.service.runtime.v3.rtds_pb2 import Runtime
from google.protobuf.struct_pb2 import Struct

from equipoise.backends.envoy.build.encoding import resource
from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.type_urls import LISTENER, RUNTIME
from equipoise.proxy.model import Transport

LAYER: Final = "limits"
"""The name of the layer of the runtime, as the bootstrap asks for it."""

UDP_SESSIONS: Final = "udp_sessions"
"""The field of a node's metadata in which it says for how many sessions it has room."""


class Shares:
    """The listeners over UDP that there are. `revision` rises with every change."""

    def __init__(self) -> None:
        self._listeners: dict[str, frozenset[str]] = {}
        self.revision = 0

    def put(self, load_balancer_id: str, resources: Iterable[Resource]) -> None:
        """Take over what a load balancer is to have; nothing means that it has no listeners any more."""
        found = frozenset(
            each.leads_to
            for each in resources
            if each.type_url == LISTENER
            and each.listen_address is not None
            and each.listen_address.transport is Transport.UDP
        )
        if found != self._listeners.get(load_balancer_id, frozenset()):
            self.revision += 1
            self._listeners[load_balancer_id] = found
            if not found:
                del self._listeners[load_balancer_id]

    def layer(self, sessions: int) -> Resource:
        """The limits for a node that has room for so many sessions."""
        ids = sorted(each for listeners in self._listeners.values() for each in listeners)
        share = max(1, sessions // max(1, len(ids)))
        values = Struct()
        values.update({f"circuit_breakers.{id}.default.max_connections": share for id in ids})
        return resource(RUNTIME, LAYER, Runtime(name=LAYER, layer=values), "")
