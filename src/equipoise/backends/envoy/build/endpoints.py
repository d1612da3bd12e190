"""The members of a pool as Envoy's ClusterLoadAssignment: who they are, their share, and where they are checked.

A weight of 0 is no weight to Envoy: such a member is draining. A backup is of the second priority. Envoy would let it
help out as soon as a part of the others fails, unless those count as enough while there is any.
"""

from collections.abc import Sequence
from typing import Final

from envoy.config.core.v3.health_check_pb2 import HealthStatus
from envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from equipoise.backends.envoy.build.encoding import fill_address
from equipoise.proxy.model import ProxyMember, ProxyPool, Transport

_ONE_IS_ENOUGH: Final = 1_000_000
"""Per cent: a ten-thousandth of the members is to Envoy as good as all of them."""

_NEEDS_NO_WEIGHT: Final = (0, 1)


def endpoints(pool: ProxyPool) -> ClusterLoadAssignment:
    """Return the member list; without members it is empty, and Envoy then has nobody to send anything to."""
    message = ClusterLoadAssignment(cluster_name=pool.pool_id)
    members = _served(pool)
    first = [member for member in members if not member.backup]
    backups = [member for member in members if member.backup]
    told = any(member.weight not in _NEEDS_NO_WEIGHT for member in members)
    check_port = pool.proxy_check.port if pool.proxy_check is not None else None
    # Priorities begin with 0.
    for priority, some in enumerate(each for each in (first, backups) if each):
        of_these = message.endpoints.add(priority=priority).lb_endpoints
        for member in some:
            _fill(of_these.add(), member, pool.transport, check_port or 0, told)
    if first and backups:
        message.policy.overprovisioning_factor.value = _ONE_IS_ENOUGH
    return message


def _served(pool: ProxyPool) -> Sequence[ProxyMember]:
    """Without those that fail a check over UDP. Left out and not marked as unhealthy: if all are marked, Envoy goes on
    sending the datagrams of the sessions that there are to members known to be down."""
    if not pool.is_checked_over_udp:
        return pool.members
    return [member for member in pool.members if member.healthy is not False]


def _fill(message: LbEndpoint, member: ProxyMember, transport: Transport, check_port: int, has_weight: bool) -> None:
    """Say who a member is. Filled in place, since a pool may have thousands: each message made apart is copied."""
    fill_address(message.endpoint.address, member.address, member.port, transport)
    health = message.endpoint.health_check_config
    # The host name goes into the Host header of health checks. Left out, it would be the cluster's name, an id
    # that a member which checks the names it answers to does not know. Port 0 is the port that carries the traffic.
    health.hostname = member.address
    health.port_value = member.monitor_port or check_port
    if member.monitor_address is not None:
        fill_address(health.address, member.monitor_address, health.port_value or member.port, Transport.TCP)
    if member.weight == 0:
        message.health_status = HealthStatus.DRAINING
    elif has_weight:
        message.load_balancing_weight.value = member.weight
