"""The names of the kinds of Envoy resource that Equipoise serves, in the order in which Envoy needs them.

What such a resource holds is the builders' concern, how it travels that of the stream.
"""

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a name
FILTER = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"

RUNTIME = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
"""Limits of a node as a whole (`equipoise.backends.envoy.xds.shares`). They belong to no load balancer."""

IN_ORDER = (CLUSTER, ENDPOINTS, SECRET, LISTENER, FILTER)
"""A cluster before its members, both before the listener that leads to them, the listener before its filter.

A new certificate comes before what else changes of its listener; the first one Envoy asks for only when it has
the listener, which serves when it has both.
"""

NAMES = {
    CLUSTER: "cluster",
    ENDPOINTS: "endpoints",
    SECRET: "secret",
    LISTENER: "listener",
    FILTER: "filter",
    RUNTIME: "limits",
}
"""What people call them."""

WILDCARD = frozenset({CLUSTER, LISTENER})
"""Kinds of which Envoy takes whatever there is; the members of the other kinds it asks for by name."""
