"""What each field of a body means anything for (classic-api.md): the table that creation and update are held against.

A kind is a load balancer of one type, a listener or a health check as its protocol and its stickiness make it.
"""

from collections.abc import Mapping
from typing import Any, Final

NONSENSE: Final = {"no": "sense"}
"""No field of any kind takes an object."""

ALL: Final = None

OF_LOAD_BALANCER: Final[Mapping[str, tuple[str, ...] | None]] = {
    "name": ALL,
    "description": ALL,
    "vpc_id": ALL,
    "type": ALL,
    "bandwidth": ("External",),
    "admin_state_up": ALL,
    "vip_subnet_id": ("Internal",),
    "security_group_id": ("Internal",),
    "vip_address": ALL,
    "tenantId": ALL,
    "az": ("Internal",),
    "charge_mode": ("External",),
    "eip_type": ("External",),
}
# admin_state_up is not among the fields of creation: a new listener is on.
OF_LISTENER: Final[Mapping[str, tuple[str, ...] | None]] = {
    "name": ALL,
    "description": ALL,
    "loadbalancer_id": ALL,
    "protocol": ALL,
    "port": ALL,
    "backend_protocol": ALL,
    "backend_port": ALL,
    "lb_algorithm": ALL,
    "session_sticky": ("HTTP", "sticky HTTP", "HTTP off", "HTTPS", "sticky HTTPS", "TCP", "sticky TCP"),
    "sticky_session_type": ("HTTP", "sticky HTTP", "HTTP off", "HTTPS", "sticky HTTPS"),
    "cookie_timeout": ("sticky HTTP", "HTTP off", "sticky HTTPS"),
    "tcp_timeout": ("TCP", "sticky TCP"),
    "tcp_draining": ("TCP", "sticky TCP"),
    "tcp_draining_timeout": ("TCP", "sticky TCP"),
    "certificate_id": ("HTTPS", "sticky HTTPS"),
    "udp_timeout": ("UDP",),
    "ssl_protocols": ("HTTPS", "sticky HTTPS"),
    "ssl_ciphers": ("HTTPS", "sticky HTTPS"),
}
OF_HEALTH_CHECK: Final[Mapping[str, tuple[str, ...] | None]] = {
    "listener_id": ALL,
    "healthcheck_protocol": ALL,
    "healthcheck_uri": ("HTTP",),
    "healthcheck_path": ("HTTP",),
    "healthcheck_connect_port": ALL,
    "healthy_threshold": ALL,
    "unhealthy_threshold": ALL,
    "healthcheck_timeout": ALL,
    "healthcheck_interval": ALL,
}

_EXTERNAL: Final[dict[str, Any]] = {
    "name": "lb",
    "vpc_id": "vpc",
    "type": "External",
    "bandwidth": 10,
    "admin_state_up": 1,
}
LOAD_BALANCERS: Final[Mapping[str, dict[str, Any]]] = {
    "External": _EXTERNAL,
    "Internal": {
        "name": "lb",
        "vpc_id": "vpc",
        "type": "Internal",
        "admin_state_up": 1,
        "vip_subnet_id": "subnet",
        "security_group_id": "group",
    },
}


def _listener(protocol: str, **fields: object) -> dict[str, Any]:
    """Without what only a running service can name: load balancer, port, certificate."""
    backend = "HTTP" if protocol == "HTTPS" else protocol
    common = {"name": "listener", "protocol": protocol, "backend_protocol": backend, "backend_port": 80}
    return common | {"lb_algorithm": "roundrobin"} | fields


LISTENERS: Final[Mapping[str, dict[str, Any]]] = {
    "HTTP": _listener("HTTP"),
    "sticky HTTP": _listener("HTTP", session_sticky=True, cookie_timeout=5),
    # Stickiness is off, but what it would be is kept.
    "HTTP off": _listener("HTTP", session_sticky=False, sticky_session_type="insert", cookie_timeout=5),
    "HTTPS": _listener("HTTPS"),
    "sticky HTTPS": _listener("HTTPS", session_sticky=True),
    "TCP": _listener("TCP"),
    "sticky TCP": _listener("TCP", session_sticky=True),
    "UDP": _listener("UDP"),
}


def means_something(table: Mapping[str, tuple[str, ...] | None], field: str, kind: str) -> bool:
    kinds = table[field]
    return kinds is ALL or kind in kinds


def meaningless(table: Mapping[str, tuple[str, ...] | None], kind: str) -> dict[str, Any]:
    """Nonsense for every field that means nothing for this kind."""
    return {field: NONSENSE for field in table if not means_something(table, field, kind)}
