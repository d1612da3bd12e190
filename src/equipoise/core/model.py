"""The resources of the service as frozen records: load balancer, listener, pool, member, health monitor, address.

Points in time are milliseconds since 1970 (UTC), spans of time are milliseconds.

`deleting` marks what a job is about to remove: it is no longer desired, but the row stays until the data plane
has confirmed, so that a failing job can take the removal back.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """PENDING_CREATE: not yet confirmed by the data plane. ERROR: the data plane refuses what was once in force."""

    PENDING_CREATE = "PENDING_CREATE"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"


class AdminState:
    """`admin_state_up` of a load balancer."""

    STOPPED = 0
    ON = 1
    FROZEN = 2


EXTERNAL = "External"
INTERNAL = "Internal"


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """`bandwidth` is in Mbit/s; `generation` rises with every change of it or of anything below it. `revision` is that
    of the last change of what its nodes are to have in force; it is in one order with those of all others."""

    id: str
    project_id: str
    name: str
    description: str
    type: str
    vpc_id: str
    vip_subnet_id: str | None
    vip_address: str
    security_group_id: str | None
    az: str | None
    bandwidth: int | None
    admin_state_up: int
    charge_mode: str | None
    eip_type: str | None
    status: Status
    deleting: bool
    generation: int
    revision: int
    create_time: int
    update_time: int


@dataclass(frozen=True, slots=True)
class Address:
    """An address that was given out. One of the pool External is an elastic IP, in use or free for the project.

    `bandwidth` (Mbit/s), `charge_mode` and `eip_type` are those of an elastic IP, None for a private address.
    """

    id: str
    address: str
    project_id: str
    type: str
    load_balancer_id: str | None
    bandwidth: int | None
    charge_mode: str | None
    eip_type: str | None
    create_time: int


class Protocol(StrEnum):
    """What a listener takes in. A pool speaks HTTP, TCP or UDP to its members, and so does a health monitor."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TCP = "TCP"
    UDP = "UDP"


class Algorithm(StrEnum):
    """How a member is chosen."""

    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_CONNECTIONS = "LEAST_CONNECTIONS"
    SOURCE_IP = "SOURCE_IP"


class PersistenceType(StrEnum):
    """By what a client is known who comes back to the member that it had."""

    SOURCE_IP = "SOURCE_IP"
    HTTP_COOKIE = "HTTP_COOKIE"


TLS_1_2 = "TLSv1.2"
TLS_1_0_AND_LATER = "TLSv1.2 TLSv1.1 TLSv1"


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a load balancer takes traffic in.

    `default_pool_id` is the pool that gets it. `idle_timeout` ends what carries no traffic, None leaves the default of
    the data plane. `certificate_id`, `tls_protocols` (versions, separated by spaces) and `tls_ciphers` (the name of a
    set) are there for HTTPS and only there.
    """

    id: str
    project_id: str
    load_balancer_id: str
    name: str
    description: str
    protocol: str
    port: int
    default_pool_id: str | None
    idle_timeout: int | None
    certificate_id: str | None
    tls_protocols: str | None
    tls_ciphers: str | None
    admin_state_up: bool
    status: Status
    deleting: bool
    create_time: int
    update_time: int


@dataclass(frozen=True, slots=True)
class Pool:
    """Members that stand for one another, and how one of them is chosen.

    One that is `private_to` a listener has the id and the life of that: it comes and goes with it, its state is that of
    the listener, and its own `deleting` stays False.

    `default_port` is the port of members that have none of their own. While `persistent`, clients come back to the
    member they had; `persistence_type` and `cookie_lifetime` (None: until the browser ends) are kept while it is off.
    `draining` lets the connections of a removed member go on for `draining_timeout`; None where it has no meaning.
    """

    id: str
    project_id: str
    load_balancer_id: str
    private_to: str | None
    name: str
    description: str
    protocol: str
    algorithm: str
    default_port: int | None
    persistent: bool
    persistence_type: str | None
    cookie_lifetime: int | None
    draining: bool | None
    draining_timeout: int | None
    admin_state_up: bool
    status: Status
    deleting: bool
    create_time: int
    update_time: int


@dataclass(frozen=True, slots=True)
class Member:
    """A server of a pool. `healthy` is what the data plane last saw; None while it does not know.

    `port` None means the default port of the pool. Of the traffic it gets its `weight` in relation to the others;
    0 means that it gets nothing new. A `backup` gets traffic only while no other member can. It is checked at
    `monitor_address` and `monitor_port`, None: at its own, or the monitor's port.
    """

    id: str
    pool_id: str
    server_id: str | None
    address: str
    port: int | None
    weight: int
    backup: bool
    monitor_address: str | None
    monitor_port: int | None
    admin_state_up: bool
    healthy: bool | None
    status: Status
    deleting: bool
    create_time: int
    update_time: int


@dataclass(frozen=True, slots=True)
class DrainingMember:
    """A removed member of a TCP pool whose connections end at `ends_at`; ACTIVE once its removal succeeded."""

    id: str
    pool_id: str
    address: str
    ends_at: int
    status: Status


@dataclass(frozen=True, slots=True)
class HealthMonitor:
    """How the members of a pool are checked. No port means that of the member. `path` is there for HTTP only."""

    id: str
    pool_id: str
    type: str
    path: str | None
    port: int | None
    healthy_threshold: int
    unhealthy_threshold: int
    timeout: int
    interval: int
    status: Status
    deleting: bool
    create_time: int
    update_time: int


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a project is told of the ends of its jobs; `secret` is encrypted."""

    project_id: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    create_time: int
    update_time: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """`content_id` names what is to be served: other PEM is other content, and the old stays while a job needs it."""

    id: str
    project_id: str
    name: str
    description: str
    domain: str
    content_id: str
    create_time: int
    update_time: int


@dataclass(frozen=True, slots=True)
class CertificateContent:
    """One certificate with its chain (PEM) and its private key (encrypted). Never changed, only replaced."""

    id: str
    certificate_id: str
    certificate: str
    private_key: str = field(repr=False)
