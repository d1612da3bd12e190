"""The small model between the API and Envoy: all that the proxy must know about one load balancer, and no more.

The controller compiles desired rows into it; the builders turn it into Envoy resources. Nothing here knows of
the database, of HTTP or of Envoy's messages.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Protocol(StrEnum):
    TCP = "TCP"
    HTTP = "HTTP"
    UDP = "UDP"
    HTTPS = "HTTPS"

    @property
    def carries_http(self) -> bool:
        """Whether requests are balanced, and not the bytes of connections."""
        return self in {Protocol.HTTP, Protocol.HTTPS}


class Transport(StrEnum):
    """Ports are counted apart for each: the same number may be used once over TCP and once over UDP."""

    TCP = "tcp"
    UDP = "udp"


class Algorithm(StrEnum):
    ROUND_ROBIN = "roundrobin"
    LEAST_CONNECTIONS = "leastconn"
    SOURCE = "source"


class CipherSet(StrEnum):
    """The sets of the contract; what each holds is in `equipoise.xds.tls`."""

    DEFAULT = "Default"
    EXTENDED = "Extended"
    STRICT = "Strict"


@dataclass(frozen=True, slots=True)
class ProxyTls:
    """How a listener speaks TLS. Certificate (its chain may follow) and private key are PEM.

    `since_tls_1_0` admits TLS 1.0 and 1.1 beside 1.2.
    """

    certificate: str
    private_key: str = field(repr=False)
    since_tls_1_0: bool
    ciphers: CipherSet


@dataclass(frozen=True, slots=True)
class Place:
    """What a listener occupies on a node."""

    transport: Transport
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class ProxyHealthCheck:
    """A check that Envoy makes. It has none for UDP: those are made beside it and leave out members that fail.

    `protocol` is HTTP or TCP, times are in seconds, `port` None means the port that carries the traffic."""

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

    `idle_timeout` is in seconds and ends connections, or sessions of UDP, without traffic; None leaves the
    default. `tls` is there for HTTPS and only there. `is_sticky`: clients come back to the member they had; over HTTP
    by a cookie that is kept for `cookie_lifetime` seconds, None: until the browser ends; over TCP by client address.
    `slow_start` is in seconds: how long a member that has come back takes to its full share, 0: no time.
    `is_logged`: it has an access log. `keepalive` is in seconds: how long the other end of a connection over TCP says
    nothing until it is asked whether it is there, 0: it is never asked.
    """

    listener_id: str
    protocol: Protocol
    port: int
    backend_port: int
    algorithm: Algorithm
    members: tuple[str, ...]
    health_check: ProxyHealthCheck | None
    idle_timeout: int | None
    tls: ProxyTls | None = None
    is_sticky: bool = False
    cookie_lifetime: int | None = None
    slow_start: int = 0
    is_logged: bool = False
    keepalive: int = 0

    @property
    def transport(self) -> Transport:
        return Transport.UDP if self.protocol is Protocol.UDP else Transport.TCP


@dataclass(frozen=True, slots=True)
class ProxyLoadBalancer:
    """What of a load balancer is to be in force; no listeners means that nothing is to be served.

    `bandwidth` is the limit of all its listeners together, in Mbit/s for each direction; None means without limit.
    """

    load_balancer_id: str
    address: str
    listeners: tuple[ProxyListener, ...]
    bandwidth: int | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """One Envoy resource, ready to send.

    `version` is a hash of `body`, so that equal content has an equal version in every process and at every start.
    `listener_id` says which listener a refusal of this resource is about. `place` is what a listener
    occupies, None for the other kinds.
    """

    type_url: str
    name: str
    version: str
    body: bytes = field(repr=False)
    listener_id: str
    place: Place | None = None
