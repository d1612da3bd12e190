"""The small model between the API and Envoy: all that the proxy must know about one load balancer, and no more.

The controller compiles desired rows into it; the builders turn it into Envoy resources. Nothing here knows of
the database, of HTTP or of Envoy's messages.
"""

from dataclasses import dataclass
from enum import StrEnum


class Protocol(StrEnum):
    TCP = "TCP"
    HTTP = "HTTP"


class Algorithm(StrEnum):
    ROUND_ROBIN = "roundrobin"
    LEAST_CONNECTIONS = "leastconn"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class ProxyHealthCheck:
    """`protocol` is HTTP or TCP, times are in seconds, `port` None means the port that carries the traffic."""

    protocol: Protocol
    path: str | None
    port: int | None
    interval: int
    timeout: int
    healthy_threshold: int
    unhealthy_threshold: int


@dataclass(frozen=True, slots=True)
class ProxyListener:
    """One listener: where it listens, how it chooses, and whom (`members`: IPv4 addresses, sorted, no doubles).

    `idle_timeout` is in seconds and closes connections without traffic; None leaves the default.
    """

    listener_id: str
    protocol: Protocol
    port: int
    backend_port: int
    algorithm: Algorithm
    members: tuple[str, ...]
    health_check: ProxyHealthCheck | None
    idle_timeout: int | None


@dataclass(frozen=True, slots=True)
class ProxyLoadBalancer:
    """What of a load balancer is to be in force; no listeners means that nothing is to be served."""

    load_balancer_id: str
    address: str
    listeners: tuple[ProxyListener, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """One Envoy resource, ready to send.

    `version` is a hash of `body`, so that equal content has an equal version in every process and at every start.
    `listener_id` says which listener a refusal of this resource is about. `place` is the address and port that a
    listener occupies, None for the other kinds.
    """

    type_url: str
    name: str
    version: str
    body: bytes
    listener_id: str
    place: tuple[str, int] | None = None
