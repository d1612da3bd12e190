"""What a user of the classic API says of listeners and health checks, in its names and units, and how that is ours.

Here a listener has members and a health check. In the model these are those of a pool, which is private to the listener
and has its id. Its time-outs are in minutes and seconds, ours in milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from equipoise.core.commands import (
    Column,
    CreateHealthMonitorCommand,
    CreateListenerCommand,
    Filter,
    PoolFields,
    UpdateHealthMonitorCommand,
    UpdateListenerCommand,
)
from equipoise.core.model import (
    Algorithm,
    HealthMonitor,
    Listener,
    PersistenceType,
    Pool,
    Protocol,
    Status,
)
from equipoise.usecases.listeners import ListenerFilters
from equipoise.usecases.members import Health

ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    "roundrobin": Algorithm.ROUND_ROBIN,
    "leastconn": Algorithm.LEAST_CONNECTIONS,
    "source": Algorithm.SOURCE_IP,
}
_NAMES: Final = {ours.value: theirs for theirs, ours in ALGORITHMS.items()}

COOKIE_INSERT: Final = "insert"

MINUTE: Final = 60_000
SECOND: Final = 1_000
"""Milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerFields:
    """What a user says of a listener. Time-outs are in minutes; what has no meaning for the protocol is None."""

    name: str
    description: str
    protocol: str
    port: int
    backend_protocol: str
    backend_port: int
    lb_algorithm: str
    session_sticky: bool
    sticky_session_type: str | None
    cookie_timeout: int | None
    tcp_timeout: int | None
    tcp_draining: bool | None
    tcp_draining_timeout: int | None
    udp_timeout: int | None
    certificate_id: str | None
    ssl_protocols: str | None
    ssl_ciphers: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewListener(ListenerFields):
    """A listener to create."""

    loadbalancer_id: str

    def command(self) -> CreateListenerCommand:
        """What that is in the model."""
        by_cookie = self.sticky_session_type is not None
        by_address = self.session_sticky and self.protocol == Protocol.TCP
        idle_timeout = self.udp_timeout if self.protocol == Protocol.UDP else self.tcp_timeout
        return CreateListenerCommand(
            load_balancer_id=self.loadbalancer_id,
            name=self.name,
            description=self.description,
            protocol=Protocol(self.protocol),
            port=self.port,
            idle_timeout=_milliseconds(idle_timeout),
            certificate_id=self.certificate_id,
            tls_protocols=self.ssl_protocols,
            tls_ciphers=self.ssl_ciphers,
            pool=PoolFields(
                protocol=Protocol(self.backend_protocol),
                algorithm=ALGORITHMS[self.lb_algorithm],
                default_port=self.backend_port,
                persistent=self.session_sticky,
                persistence_type=PersistenceType.HTTP_COOKIE
                if by_cookie
                else PersistenceType.SOURCE_IP
                if by_address
                else None,
                cookie_lifetime=_milliseconds(self.cookie_timeout),
                draining=self.tcp_draining,
                draining_timeout=_milliseconds(self.tcp_draining_timeout),
            ),
        )


@dataclass(frozen=True, slots=True)
class ListenerUpdate:
    """`changes` differ from what stands; `repeated` was given as it stands (`UpdateListenerCommand`)."""

    changes: Mapping[str, Column]
    repeated: Mapping[str, Column] = field(default_factory=dict)

    def command(self) -> UpdateListenerCommand:
        """What that is in the model."""
        columns = [_of_listener(name, value) for name, value in {**self.changes, **self.repeated}.items()]
        return UpdateListenerCommand(
            listener={column: value for of_pool, column, value in columns if not of_pool},
            pool={column: value for of_pool, column, value in columns if of_pool},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckFields:
    """What a user says of a health check. Interval and time-out are in seconds; no port means the listener's."""

    listener_id: str
    healthcheck_protocol: str
    healthcheck_uri: str | None
    healthcheck_connect_port: int | None
    healthy_threshold: int
    unhealthy_threshold: int
    healthcheck_timeout: int
    healthcheck_interval: int

    def command(self) -> CreateHealthMonitorCommand:
        """What that is in the model."""
        return CreateHealthMonitorCommand(
            type=Protocol(self.healthcheck_protocol),
            path=self.healthcheck_uri,
            port=self.healthcheck_connect_port,
            healthy_threshold=self.healthy_threshold,
            unhealthy_threshold=self.unhealthy_threshold,
            timeout=self.healthcheck_timeout * SECOND,
            interval=self.healthcheck_interval * SECOND,
        )


@dataclass(frozen=True, slots=True)
class HealthCheckUpdate:
    """`changes` differ from what stands; `repeated` was given as it stands (`UpdateHealthMonitorCommand`)."""

    changes: Mapping[str, Column]
    repeated: Mapping[str, Column] = field(default_factory=dict)

    def command(self) -> UpdateHealthMonitorCommand:
        """What that is in the model."""
        wanted = {**self.changes, **self.repeated}.items()
        return UpdateHealthMonitorCommand(
            {_OF_CHECK[name][0]: _in_our_units(value, _OF_CHECK[name][1]) for name, value in wanted}
        )


def listener_fields(listener: Listener, pool: Pool) -> ListenerFields:
    """A listener and its own pool as users of this API see them."""
    by_cookie = pool.persistence_type == PersistenceType.HTTP_COOKIE
    idle_timeout = _minutes(listener.idle_timeout)
    return ListenerFields(
        name=listener.name,
        description=listener.description,
        protocol=listener.protocol,
        port=listener.port,
        backend_protocol=pool.protocol,
        backend_port=pool.default_port or 0,
        lb_algorithm=_NAMES[pool.algorithm],
        session_sticky=pool.persistent,
        sticky_session_type=COOKIE_INSERT if by_cookie else None,
        cookie_timeout=_minutes(pool.cookie_lifetime),
        tcp_timeout=idle_timeout if listener.protocol == Protocol.TCP else None,
        tcp_draining=pool.draining,
        tcp_draining_timeout=_minutes(pool.draining_timeout),
        udp_timeout=idle_timeout if listener.protocol == Protocol.UDP else None,
        certificate_id=listener.certificate_id,
        ssl_protocols=listener.tls_protocols,
        ssl_ciphers=listener.tls_ciphers,
    )


def health_check_fields(monitor: HealthMonitor) -> HealthCheckFields:
    """A health monitor as users of this API see it."""
    return HealthCheckFields(
        listener_id=monitor.pool_id,
        healthcheck_protocol=monitor.type,
        healthcheck_uri=monitor.path,
        healthcheck_connect_port=monitor.port,
        healthy_threshold=monitor.healthy_threshold,
        unhealthy_threshold=monitor.unhealthy_threshold,
        healthcheck_timeout=monitor.timeout // SECOND,
        healthcheck_interval=monitor.interval // SECOND,
    )


def listener_filters(filters: Mapping[str, Column]) -> ListenerFilters:
    """Filters of a list of listeners by their names in this API."""
    own: list[Filter] = []
    of_pool: list[Filter] = []
    health_monitor_id: str | None = None
    for name, value in filters.items():
        if name == "healthcheck_id":
            health_monitor_id = str(value)
            continue
        # The two time-outs are one column, which is the one or the other by the protocol.
        if name in _PROTOCOL_OF:
            own.append(("protocol", _PROTOCOL_OF[name]))
        in_pool, column, wanted = _of_listener(name, value)
        (of_pool if in_pool else own).append((column, wanted))
    return ListenerFilters(own, of_pool, health_monitor_id)


def member_filters(filters: Mapping[str, Column]) -> tuple[list[Filter], Health | None]:
    """Filters of a list of members by their names in this API."""
    own: list[Filter] = []
    health: Health | None = None
    for name, value in filters.items():
        match name, value:
            case "health_status", str(status):
                health = HEALTH[status]
            case "server_address", _:
                own.append(("address", value))
            case "status", "PENDING":
                own.append(("status", Status.PENDING_CREATE))
            case _:
                own.append((name, value))
    return own, health


HEALTH: Final[Mapping[str, Health]] = {
    "NORMAL": Health.HEALTHY,
    "ABNORMAL": Health.UNHEALTHY,
    "UNAVAILABLE": Health.UNKNOWN,
}

_PROTOCOL_OF: Final = {"tcp_timeout": Protocol.TCP, "udp_timeout": Protocol.UDP}

_OF_LISTENER: Final[Mapping[str, tuple[str, int]]] = {
    "loadbalancer_id": ("load_balancer_id", 1),
    "tcp_timeout": ("idle_timeout", MINUTE),
    "udp_timeout": ("idle_timeout", MINUTE),
    "ssl_protocols": ("tls_protocols", 1),
    "ssl_ciphers": ("tls_ciphers", 1),
}
"""The column of a listener, and how many of its units one of ours has; any other field is the column of that name."""

_OF_POOL: Final[Mapping[str, tuple[str, int]]] = {
    "backend_protocol": ("protocol", 1),
    "backend_port": ("default_port", 1),
    "lb_algorithm": ("algorithm", 1),
    "session_sticky": ("persistent", 1),
    "sticky_session_type": ("persistence_type", 1),
    "cookie_timeout": ("cookie_lifetime", MINUTE),
    "tcp_draining": ("draining", 1),
    "tcp_draining_timeout": ("draining_timeout", MINUTE),
}

_OF_CHECK: Final[Mapping[str, tuple[str, int]]] = {
    "healthcheck_protocol": ("type", 1),
    "healthcheck_uri": ("path", 1),
    "healthcheck_connect_port": ("port", 1),
    "healthy_threshold": ("healthy_threshold", 1),
    "unhealthy_threshold": ("unhealthy_threshold", 1),
    "healthcheck_timeout": ("timeout", SECOND),
    "healthcheck_interval": ("interval", SECOND),
}

_VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "lb_algorithm": {name: algorithm.value for name, algorithm in ALGORITHMS.items()},
    "sticky_session_type": {COOKIE_INSERT: PersistenceType.HTTP_COOKIE.value},
}
"""Where the values have other names, too."""


def _of_listener(name: str, value: Column) -> tuple[bool, str, Column]:
    """Whether the pool has it, the column, and the value there of a field of a listener."""
    column, units = _OF_POOL.get(name) or _OF_LISTENER.get(name, (name, 1))
    if isinstance(value, str):
        value = _VALUES.get(name, {}).get(value, value)
    return name in _OF_POOL, column, _in_our_units(value, units)


def _in_our_units(value: Column, units: int) -> Column:
    return value if units == 1 or not isinstance(value, int) else value * units


def _milliseconds(minutes: int | None) -> int | None:
    return None if minutes is None else minutes * MINUTE


def _minutes(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds // MINUTE
