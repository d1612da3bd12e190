"""Load balancers, listeners, members and health checks on the wire. Fields that do not apply are null."""

from typing import Any

from equipoise.domain.model import INTERNAL, HealthCheck, LoadBalancer, Status
from equipoise.http.wire.times import resource_time
from equipoise.usecases.listeners import ListenerView
from equipoise.usecases.members import MemberView

Document = dict[str, Any]


def load_balancer(record: LoadBalancer) -> Document:
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
        "admin_state_up": record.admin_state_up,
        "create_time": resource_time(record.create_time),
        "update_time": resource_time(record.update_time),
    }


def listener(view: ListenerView) -> Document:
    """A listener as the answers about one listener have it."""
    record = view.listener
    return {
        "id": record.id,
        "name": record.name,
        "description": record.description,
        "loadbalancer_id": record.load_balancer_id,
        "protocol": record.protocol,
        "port": record.port,
        "backend_protocol": record.backend_protocol,
        "backend_port": record.backend_port,
        "lb_algorithm": record.lb_algorithm,
        "session_sticky": record.session_sticky,
        "sticky_session_type": record.sticky_session_type,
        "cookie_timeout": record.cookie_timeout,
        "tcp_timeout": record.tcp_timeout,
        "tcp_draining": record.tcp_draining,
        "tcp_draining_timeout": record.tcp_draining_timeout,
        "udp_timeout": record.udp_timeout,
        "certificate_id": record.certificate_id,
        "ssl_protocols": record.ssl_protocols,
        "ssl_ciphers": record.ssl_ciphers,
        "healthcheck_id": view.healthcheck_id,
        "status": record.status.value,
        "admin_state_up": record.admin_state_up,
        "create_time": resource_time(record.create_time),
        "update_time": resource_time(record.update_time),
    }


def listed_listener(view: ListenerView) -> Document:
    """A listener in a list, which adds the number of its members."""
    return listener(view) | {"member_number": view.member_number}


def member(view: MemberView) -> Document:
    """A member. The name of its server is not known here: members are addresses."""
    record = view.member
    return {
        "id": record.id,
        "server_id": record.server_id,
        "server_name": None,
        "server_address": record.address,
        "address": record.address,
        "status": member_status(record.status),
        "health_status": _health_status(view),
        "listeners": [{"id": record.listener_id}],
        "create_time": resource_time(record.create_time),
        "update_time": resource_time(record.update_time),
    }


def member_status(status: Status) -> str:
    """Members say PENDING where everything else says PENDING_CREATE."""
    return "PENDING" if status == Status.PENDING_CREATE else status.value


def health_check(record: HealthCheck) -> Document:
    """A health check."""
    return {
        "id": record.id,
        "listener_id": record.listener_id,
        "healthcheck_protocol": record.healthcheck_protocol,
        "healthcheck_uri": record.healthcheck_uri,
        "healthcheck_connect_port": record.healthcheck_connect_port,
        "healthy_threshold": record.healthy_threshold,
        "unhealthy_threshold": record.unhealthy_threshold,
        "healthcheck_timeout": record.healthcheck_timeout,
        "healthcheck_interval": record.healthcheck_interval,
        "create_time": resource_time(record.create_time),
        "update_time": resource_time(record.update_time),
    }


def _health_status(view: MemberView) -> str:
    """UNAVAILABLE without a health check, or while the data plane has not seen enough to say."""
    if not view.checked or view.member.healthy is None:
        return "UNAVAILABLE"
    return "NORMAL" if view.member.healthy else "ABNORMAL"
