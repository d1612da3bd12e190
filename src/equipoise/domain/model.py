"""The resources of the service as frozen records. Times are milliseconds since 1970 (UTC).

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
    """`admin_state_up` of a load balancer (classic-api.md)."""

    STOPPED = 0
    ON = 1
    FROZEN = 2


EXTERNAL = "External"
INTERNAL = "Internal"


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """`bandwidth` is in Mbit/s; `generation` rises with every change of it or of anything below it."""

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
class Listener(ListenerFields):
    """A listener of a load balancer."""

    id: str
    project_id: str
    load_balancer_id: str
    admin_state_up: bool
    status: Status
    deleting: bool
    create_time: int
    update_time: int


@dataclass(frozen=True, slots=True)
class Member:
    """`healthy` is what the data plane last saw; None while it does not know."""

    id: str
    listener_id: str
    server_id: str
    address: str
    status: Status
    deleting: bool
    healthy: bool | None
    create_time: int
    update_time: int


@dataclass(frozen=True, slots=True)
class DrainingMember:
    """A removed member of a TCP listener whose connections end at `ends_at`; ACTIVE once its removal succeeded."""

    id: str
    listener_id: str
    address: str
    ends_at: int
    status: Status


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck(HealthCheckFields):
    """A health check of a listener."""

    id: str
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
