"""The names under which resources are known to Envoy, and what can be read back from a name alone.

Clusters, member lists, certificates and filters are named by their listener's id and need no rule of their own.
"""

from typing import Final

from equipoise.proxy.model import Transport

UNCOUNTED: Final = "uncounted"
"""The name under which Envoy would keep metrics of clusters of which nobody reads any: by it they are left out."""


def listener_name(load_balancer_id: str, transport: Transport, port: int) -> str:
    """Name a listener by what it occupies, not by its id.

    A listener that is deleted and another that is created on its port are then one change in place, without
    a moment in which nobody listens; a change of port is an addition followed by a removal.
    """
    return f"{load_balancer_id}/{transport}/{port}"


def load_balancer_of(listener_name: str) -> str:
    """Return the load balancer to which a listener belongs that an Envoy reports from an earlier life of ours."""
    return listener_name.partition("/")[0]
