"""What Envoy is told at its start: who it is, where it gets everything else, and its limits. Pure.

All that can change later comes over the control stream. A change here means another Envoy process.
"""

from typing import Any

from equipoise.dataplane.files import ADMIN_SOCKET, XDS_SOCKET

Config = dict[str, Any]

_STREAM = "equipoise"

_READ_BY_SUFFIX = (
    # of a listener: connections, and those turned away
    ".downstream_cx_total",
    ".downstream_cx_active",
    ".downstream_cx_overflow",
    ".downstream_global_cx_overflow",
    # of its TCP proxy or HTTP connection manager
    ".downstream_cx_rx_bytes_total",
    ".downstream_cx_tx_bytes_total",
    ".downstream_rq_total",
    ".downstream_rq_active",
    ".downstream_rq_1xx",
    ".downstream_rq_2xx",
    ".downstream_rq_3xx",
    ".downstream_rq_4xx",
    ".downstream_rq_5xx",
    # of its UDP proxy
    ".downstream_sess_total",
    ".downstream_sess_active",
    ".downstream_sess_rx_bytes",
    ".downstream_sess_tx_bytes",
    # of its cluster
    ".membership_total",
    ".membership_healthy",
    ".upstream_cx_total",
    ".upstream_cx_active",
    ".upstream_cx_connect_fail",
    ".upstream_rq_total",
    ".upstream_rq_active",
)
"""The only figures that Envoy keeps for each load balancer. The rest would cost some 100 KiB of memory for each."""

_READ_BY_PREFIX = ("server.", "listener_manager.", "cluster_manager.", "control_plane.", "overload.")


def max_connections(descriptors: int) -> int:
    """Return how many client connections fit into a limit of file descriptors.

    Envoy aborts, with every listener on it, when it can open no more. A connection takes two, one to the client
    and one to the member: that is six tenths. Sessions of UDP, of which each takes one, have three tenths, and one is
    left for listeners, health checks and Envoy itself.
    """
    return max(1, descriptors * 3 // 10)


def bootstrap(node_id: str, descriptors: int) -> Config:
    """Return Envoy's bootstrap for a node of this name whose limit of open files is `descriptors`."""
    return {
        "node": {"id": node_id, "cluster": _STREAM},
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "dynamic_resources": _dynamic_resources(),
        "static_resources": {"clusters": [_control_cluster()]},
        "cluster_manager": {"enable_deferred_cluster_creation": True},
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": _patterns()}}},
        # No sink waits for figures; those who read them ask.
        "stats_flush_interval": "60s",
        "overload_manager": _overload_manager(max_connections(descriptors)),
    }


def _dynamic_resources() -> Config:
    over_stream: Config = {"ads": {}, "resource_api_version": "V3"}
    # With Envoy's own back-off of up to 30 s a control plane that was away is noticed late.
    back_off = {"base_interval": "0.1s", "max_interval": "1s"}
    service = {"envoy_grpc": {"cluster_name": _STREAM, "retry_policy": {"retry_back_off": back_off}}}
    stream = {
        "api_type": "DELTA_GRPC",
        "transport_api_version": "V3",
        "grpc_services": [service],
        "set_node_on_first_message_only": True,
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


def _patterns() -> list[Config]:
    return [{"suffix": suffix} for suffix in _READ_BY_SUFFIX] + [{"prefix": prefix} for prefix in _READ_BY_PREFIX]


def _overload_manager(connections: int) -> Config:
    limit = {
        "@type": (
            "type.googleapis.com/"
            "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
        ),
        "max_active_downstream_connections": connections,
    }
    monitor = {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": limit}
    return {"resource_monitors": [monitor]}
