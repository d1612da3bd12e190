"""The names of the four kinds of Envoy resource that Equipoise serves, in the order in which Envoy needs them.

What such a resource holds is the builders' concern, how it travels that of the stream.
"""

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"

IN_ORDER = (CLUSTER, ENDPOINTS, LISTENER, ROUTES)
"""A cluster before its members, both before the listener that leads to them, the listener before its routes."""

WILDCARD = frozenset({CLUSTER, LISTENER})
"""Kinds of which Envoy takes whatever there is; the members of the other kinds it asks for by name."""
