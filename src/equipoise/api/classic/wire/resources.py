"""Load balancers, listeners, members, health checks and certificates on the wire. Fields that do not apply are null."""

from typing import TypedDict

from equipoise.api.classic.records import HEALTH, ListenerFields, health_check_fields, listener_fields
from equipoise.api.classic.wire import types as t
from equipoise.api.classic.wire.times import resource_time
from equipoise.core.errors import NotFound
from equipoise.core.model import INTERNAL, LoadBalancer, Status
from equipoise.core.references import ResourceKind
from equipoise.usecases.certificates import CertificateView
from equipoise.usecases.health_monitors import HealthMonitorView
from equipoise.usecases.listeners import ListenerView
from equipoise.usecases.members import MemberView

_HEALTH = {health: name for name, health in HEALTH.items()}
"""UNAVAILABLE: there is no health check, or the data plane has not seen enough to say."""


class LoadBalancerDocument(TypedDict):
    """A load balancer."""

    id: t.Id
    name: t.Name
    description: t.Description
    type: t.LoadBalancerType
    status: t.ResourceStatus
    bandwidth: t.Bandwidth | None
    vpc_id: t.Reference
    vip_subnet_id: t.Reference | None
    vip_address: t.IPv4
    security_group_id: t.SecurityGroup | None
    az: t.Zone | None
    admin_state_up: t.AdminState
    create_time: t.ResourceTime
    update_time: t.ResourceTime


class LoadBalancerList(TypedDict):
    """One page of load balancers; the number of those on it is a string, as published."""

    loadbalancers: list[LoadBalancerDocument]
    instance_num: str


class ListenerDocument(TypedDict):
    """A listener. What has no meaning for its protocol is null."""

    id: t.Id
    name: t.Name
    description: t.Description
    loadbalancer_id: t.Id
    protocol: t.Protocol
    port: t.Port
    backend_protocol: t.BackendProtocol
    backend_port: t.Port
    lb_algorithm: t.Algorithm
    session_sticky: bool
    sticky_session_type: t.StickyType | None
    cookie_timeout: t.Minutes | None
    tcp_timeout: t.Minutes | None
    tcp_draining: bool | None
    tcp_draining_timeout: t.DrainingMinutes | None
    udp_timeout: t.Minutes | None
    certificate_id: t.Id | None
    ssl_protocols: t.TlsProtocols | None
    ssl_ciphers: t.TlsCiphers | None
    healthcheck_id: t.Id | None
    status: t.ResourceStatus
    admin_state_up: bool
    create_time: t.ResourceTime
    update_time: t.ResourceTime


class ListedListener(ListenerDocument):
    """A listener in a list."""

    member_number: int


class Named(TypedDict):
    """A thing named by its id."""

    id: t.Id


class MemberDocument(TypedDict):
    """A member of a listener."""

    id: t.Id
    server_id: t.Reference
    server_name: None
    server_address: t.IPv4
    address: t.IPv4
    status: t.MemberStatus
    health_status: t.HealthStatus
    listeners: list[Named]
    create_time: t.ResourceTime
    update_time: t.ResourceTime


class HealthCheckDocument(TypedDict):
    """The health check of a listener."""

    id: t.Id
    listener_id: t.Id
    healthcheck_protocol: t.CheckProtocol
    healthcheck_uri: t.CheckUri | None
    healthcheck_connect_port: t.Port
    healthy_threshold: t.Threshold
    unhealthy_threshold: t.Threshold
    healthcheck_timeout: t.Seconds
    healthcheck_interval: t.Seconds
    create_time: t.ResourceTime
    update_time: t.ResourceTime


class CertificateDocument(TypedDict):
    """A certificate."""

    id: t.Id
    tenant_id: str
    name: t.CertificateName
    description: t.Description
    domain: t.Domain
    certificate: t.CertificatePem
    private_key: t.ShownPrivateKey
    create_time: t.ResourceTime
    update_time: t.ResourceTime


class CertificateList(TypedDict):
    """One page of certificates; the number of those on it is a string, as published."""

    certificates: list[CertificateDocument]
    instance_num: str


def load_balancer(record: LoadBalancer) -> LoadBalancerDocument:
    """A load balancer; `admin_state_up` is an integer here, and a boolean in the entities of a job."""
    return {
        "id": record.id,
        "name": record.name,
        "description": record.description,
        "type": record.type,
        "status": record.status.value,
        "bandwidth": record.bandwidth,
        "vpc_id": record.vpc_id,
        "vip_subnet_id": record.vip_subnet_id,
        "vip_address": record.vip_address,
        "security_group_id": record.security_group_id if record.type == INTERNAL else None,
        "az": record.az,
        "admin_state_up": record.admin_state_up,
        "create_time": resource_time(record.create_time),
        "update_time": resource_time(record.update_time),
    }


def listener(view: ListenerView) -> ListenerDocument:
    """A listener as the answers about one listener have it."""
    record, fields = view.listener, _fields(view)
    return {
        "id": record.id,
        "name": record.name,
        "description": record.description,
        "loadbalancer_id": record.load_balancer_id,
        "protocol": record.protocol,
        "port": record.port,
        "backend_protocol": fields.backend_protocol,
        "backend_port": fields.backend_port,
        "lb_algorithm": fields.lb_algorithm,
        "session_sticky": fields.session_sticky,
        "sticky_session_type": fields.sticky_session_type,
        "cookie_timeout": fields.cookie_timeout,
        "tcp_timeout": fields.tcp_timeout,
        "tcp_draining": fields.tcp_draining,
        "tcp_draining_timeout": fields.tcp_draining_timeout,
        "udp_timeout": fields.udp_timeout,
        "certificate_id": record.certificate_id,
        "ssl_protocols": fields.ssl_protocols,
        "ssl_ciphers": fields.ssl_ciphers,
        "healthcheck_id": view.health_monitor_id,
        "status": record.status.value,
        "admin_state_up": record.admin_state_up,
        "create_time": resource_time(record.create_time),
        "update_time": resource_time(_last_update(view)),
    }


def _fields(view: ListenerView) -> ListenerFields:
    """Raises NotFound for a listener that this API cannot show: it has no pool of its own."""
    if view.pool is None:
        raise NotFound(ResourceKind.LISTENER, view.listener.id)
    return listener_fields(view.listener, view.pool)


def _last_update(view: ListenerView) -> int:
    """Here what is the pool's is the listener's."""
    return max(view.listener.update_time, 0 if view.pool is None else view.pool.update_time)


def listed_listener(view: ListenerView) -> ListedListener:
    """A listener in a list, which adds the number of its members."""
    return {**listener(view), "member_number": view.member_number}


def member(view: MemberView) -> MemberDocument:
    """A member. The name of its server is not known here: members are addresses."""
    record = view.member
    return {
        "id": record.id,
        "server_id": record.server_id or "",
        "server_name": None,
        "server_address": record.address,
        "address": record.address,
        "status": member_status(record.status),
        "health_status": _HEALTH[view.health],
        "listeners": [{"id": record.pool_id}],
        "create_time": resource_time(record.create_time),
        "update_time": resource_time(record.update_time),
    }


def member_status(status: Status) -> str:
    """Members say PENDING where everything else says PENDING_CREATE."""
    return "PENDING" if status == Status.PENDING_CREATE else status.value


def health_check(view: HealthMonitorView) -> HealthCheckDocument:
    """A health check, with the port that it asks."""
    record = view.monitor
    fields = health_check_fields(record)
    return {
        "id": record.id,
        "listener_id": fields.listener_id,
        "healthcheck_protocol": fields.healthcheck_protocol,
        "healthcheck_uri": fields.healthcheck_uri,
        "healthcheck_connect_port": view.port or 0,
        "healthy_threshold": fields.healthy_threshold,
        "unhealthy_threshold": fields.unhealthy_threshold,
        "healthcheck_timeout": fields.healthcheck_timeout,
        "healthcheck_interval": fields.healthcheck_interval,
        "create_time": resource_time(record.create_time),
        "update_time": resource_time(record.update_time),
    }


def certificate(view: CertificateView, private_key: str) -> CertificateDocument:
    """A certificate, with what is to be shown in place of its private key."""
    record = view.certificate
    return {
        "id": record.id,
        "tenant_id": record.project_id,
        "name": record.name,
        "description": record.description,
        "domain": record.domain,
        "certificate": view.content.certificate,
        "private_key": private_key,
        "create_time": resource_time(record.create_time),
        "update_time": resource_time(record.update_time),
    }
