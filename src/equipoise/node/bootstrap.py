"""What Envoy is told at its start: who it is, where it gets everything else, and its limits. Pure.

All that can change later comes over the control stream. A change here means another Envoy process.
"""

from typing import Any

from equipoise.backends.envoy.xds.shares import LAYER, UDP_SESSIONS
from equipoise.node.counters import statistics
from equipoise.node.files import ADMIN_SOCKET, PRESSURE, XDS_SOCKET
from equipoise.node.guard import LEFT_TO_NOTICE, TAKEN_IN_A_SECOND

Config = dict[str, Any]

_STREAM = "equipoise"

_KEEPALIVE = "tcp_keepalive"

_LEAST_REFRESH_SECONDS = 0.01
"""Looking that often takes Envoy 0.8 % of a core, every 50 ms 0.2 %."""

_MOST_REFRESH_SECONDS = 0.25


def max_connections(descriptors: int) -> int:
    """Return how many client connections fit into a limit of file descriptors.

    Envoy crashes, with every listener on it, when it can open no more. A connection takes two, one to the client
    and one to the member: that is six tenths. Sessions of UDP, of which each takes one, have one (`max_sessions`), and
    one is for listeners, health checks and Envoy itself. Connections to members that are kept have what of these is
    not used; then no new ones are taken in or made (`equipoise.node.guard`), which takes the rest to come about.
    """
    return max(1, descriptors * 3 // 10)


def max_sessions(descriptors: int) -> int:
    """Return how many sessions of UDP, of all listeners together, fit into a limit of file descriptors."""
    return max(1, descriptors // 10)


def bootstrap(node_id: str, descriptors: int, tcp_keepalive: int = 0) -> Config:
    """Return Envoy's bootstrap for a node of this name whose limit of open files is `descriptors`.

    `tcp_keepalive` is what its listeners have (`ProxyListener.keepalive`). Envoy does not read it here; but it refuses
    another one for the socket of a listener that it has, so another value is to make another Envoy.
    """
    metadata = {UDP_SESSIONS: max_sessions(descriptors), _KEEPALIVE: tcp_keepalive}
    return {
        "node": {"id": node_id, "cluster": _STREAM, "metadata": metadata},
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "dynamic_resources": _dynamic_resources(),
        "static_resources": {"clusters": [_control_cluster()]},
        "cluster_manager": {"enable_deferred_cluster_creation": True},
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "stats_config": statistics(),
        # No sink waits for metrics. Those who read them ask, and get response times as of that moment.
        "stats_flush_on_admin": True,
        "layered_runtime": {"layers": [{"name": LAYER, "rtds_layer": _limits()}]},
        "overload_manager": _overload_manager(descriptors),
    }


def _limits() -> Config:
    # An Envoy that nobody answers goes on to what waits for the same stream.
    over_stream = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "1s"}
    return {"name": LAYER, "rtds_config": over_stream}


def _dynamic_resources() -> Config:
    # After a time-out it would begin to serve what it has: an Envoy that is told late would take the place of one that
    # serves everything, and serve nothing.
    over_stream: Config = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    # With Envoy's own back-off of up to 30 s a control plane that was away is noticed late.
    back_off = {"base_interval": "0.1s", "max_interval": "1s"}
    service = {"envoy_grpc": {"cluster_name": _STREAM, "retry_policy": {"retry_back_off": back_off}}}
    stream = {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "grpc_services": [service],
        "set_node_on_first_message_only": True,
        # A starting Envoy asks for the filter of each TCP listener by itself. What it may not send yet it puts
        # together, which makes one message of thousands. Changes come nowhere near this rate.
        "rate_limit_settings": {"max_tokens": 100, "fill_rate": 500.0},
    }
    return {"ads_config": stream, "cds_config": over_stream, "lds_config": over_stream}


def _control_cluster() -> Config:
    endpoint = {"endpoint": {"address": {"pipe": {"path": XDS_SOCKET}}}}
    http2 = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "name": _STREAM,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": _STREAM, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
    }


def _overload_manager(descriptors: int) -> Config:
    clients = _monitor(
        "global_downstream_max_connections",
        "downstream_connections.v3.DownstreamConnectionsConfig",
        {"max_active_downstream_connections": max_connections(descriptors)},
    )
    # Without a slash Envoy does not take a relative path.
    told = _monitor("injected_resource", "injected_resource.v3.InjectedResourceConfig", {"filename": f"./{PRESSURE}"})
    by_what_is_told = {"name": told["name"], "threshold": {"value": 1}}
    return {
        "refresh_interval": f"{_refresh_seconds(descriptors):.4f}s",
        "resource_monitors": [clients, told],
        "loadshed_points": [
            {"name": f"envoy.load_shed_points.{point}", "triggers": [by_what_is_told]}
            for point in ("tcp_listener_accept", "connection_pool_new_connection", "tcp_proxy_upstream_connect")
        ],
    }


def _refresh_seconds(descriptors: int) -> float:
    """How often to look at what the guard says: what is left then is not used up in between."""
    return max(_LEAST_REFRESH_SECONDS, min(descriptors * LEFT_TO_NOTICE / TAKEN_IN_A_SECOND, _MOST_REFRESH_SECONDS))


def _monitor(name: str, kind: str, config: Config) -> Config:
    typed = {"@type": f"type.googleapis.com/envoy.extensions.resource_monitors.{kind}", **config}
    return {"name": f"envoy.resource_monitors.{name}", "typed_config": typed}
