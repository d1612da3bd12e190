"""The small model between the controller and a data plane: all that a proxy must know of one load balancer.

The controller compiles desired rows into it; the builders of a data plane turn it into what that takes. Nothing here
knows of the database, of HTTP or of Envoy's messages.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class ServedProtocol(StrEnum):
    TCP = "TCP"
    HTTP = "HTTP"
    UDP = "UDP"
    HTTPS = "HTTPS"

    @property
    def carries_http(self) -> bool:
        """Whether requests are balanced, and not the bytes of connections."""
        return self in {ServedProtocol.HTTP, ServedProtocol.HTTPS}


class Transport(StrEnum):
    """Ports are counted apart for each: the same number may be used once over TCP and once over UDP."""

    TCP = "tcp"
    UDP = "udp"


class BalancingPolicy(StrEnum):
    ROUND_ROBIN = "roundrobin"
    LEAST_CONNECTIONS = "leastconn"
    SOURCE = "source"


class CipherSet(StrEnum):
    """The sets of the contract; what each holds is in `equipoise.backends.envoy.build.tls`."""

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


class ListenAddress(NamedTuple):
    """What a listener occupies on a node."""

    transport: Transport
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class ProxyHealthCheck:
    """How members are checked: by the proxy, or over UDP by the node, which leaves out members that fail.

    `protocol` is HTTP, TCP or UDP, times are in seconds, `port` None means the port that carries the traffic."""

    protocol: ServedProtocol
    path: str | None
    port: int | None
    interval: int
    timeout: int
    healthy_threshold: int
    unhealthy_threshold: int


class ProxyMember(NamedTuple):
    """A member at an IPv4 address and port. It gets traffic by its `weight` (0-2560) in relation to the others; of 0
    nothing new.

    A `backup` gets traffic only while no other member can. It is checked at `monitor_address` and `monitor_port`, None:
    at its own address, and the port of the check. `healthy` is what was last seen of one that is checked over UDP,
    None: nothing, or the proxy checks it. A tuple: thousands are made for each change of a large pool.
    """

    address: str
    port: int
    weight: int = 1
    backup: bool = False
    monitor_address: str | None = None
    monitor_port: int | None = None
    healthy: bool | None = None


class Persistence(StrEnum):
    """By what clients are known who come back to the member they had."""

    SOURCE_IP = "SOURCE_IP"
    HTTP_COOKIE = "HTTP_COOKIE"


@dataclass(frozen=True, slots=True)
class ProxyPool:
    """Members that stand for one another, sorted and without doubles, and how one of them is chosen.

    `protocol` is HTTP, TCP or UDP. A cookie is kept for `cookie_lifetime` seconds, None: until the browser ends.
    `keepalive` is in seconds: how long a member says nothing over TCP until it is asked whether it is there, 0: it is
    never asked.
    A pool with the id of a listener is private to that.
    """

    pool_id: str
    protocol: ServedProtocol
    algorithm: BalancingPolicy
    members: tuple[ProxyMember, ...]
    health_check: ProxyHealthCheck | None = None
    persistence: Persistence | None = None
    cookie_lifetime: int | None = None
    keepalive: int = 0

    @property
    def transport(self) -> Transport:
        return Transport.UDP if self.protocol is ServedProtocol.UDP else Transport.TCP

    @property
    def is_checked_over_udp(self) -> bool:
        """Whether the node checks its members. No proxy does that."""
        return self.health_check is not None and self.protocol is ServedProtocol.UDP

    @property
    def proxy_check(self) -> ProxyHealthCheck | None:
        """The check that the proxy makes."""
        return None if self.is_checked_over_udp else self.health_check


@dataclass(frozen=True, slots=True)
class ProxyListener:
    """One listener: where it listens, and the pool that gets what it takes in.

    `idle_timeout` is in seconds and ends connections, or sessions of UDP, without traffic; None leaves the
    default. `tls` is there for HTTPS and only there. `is_logged`: it has an access log. `keepalive` is that of clients,
    as in `ProxyPool`.
    """

    listener_id: str
    protocol: ServedProtocol
    port: int
    default_pool: str
    idle_timeout: int | None = None
    tls: ProxyTls | None = None
    is_logged: bool = False
    keepalive: int = 0

    @property
    def transport(self) -> Transport:
        return Transport.UDP if self.protocol is ServedProtocol.UDP else Transport.TCP


@dataclass(frozen=True, slots=True)
class ProxyLoadBalancer:
    """What of a load balancer is to be in force; no listeners means that nothing is to be served.

    `pools` are those that its listeners use; several may use one. `bandwidth` is the limit of all its listeners
    together, in Mbit/s for each direction; None means without limit. `idle` are the ids of listeners and pools that
    exist and serve nothing: what they carried before still counts.
    """

    load_balancer_id: str
    address: str
    listeners: tuple[ProxyListener, ...]
    pools: tuple[ProxyPool, ...] = ()
    bandwidth: int | None = None
    idle: tuple[str, ...] = ()
