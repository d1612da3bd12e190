"""The members of a listener as Envoy's ClusterLoadAssignment: who they are, their share and where they are checked."""

from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from equipoise.xds.encoding import socket_address
from equipoise.xds.model import FULL_SHARE, ProxyListener


def endpoints(listener: ProxyListener) -> ClusterLoadAssignment:
    """Return the member list; without members it is empty, and Envoy then has nobody to send anything to."""
    check = listener.health_check
    check_port = check.port if check is not None else None
    members = [_member(address, listener, check_port) for address in listener.members]
    localities = [LocalityLbEndpoints(lb_endpoints=members)] if members else []
    return ClusterLoadAssignment(cluster_name=listener.listener_id, endpoints=localities)


def _member(address: str, listener: ProxyListener, check_port: int | None) -> LbEndpoint:
    # The host name goes into the Host header of health checks. Left out, it would be the cluster's name, an id
    # that a member which checks the names it answers to does not know. Port 0 is the port that carries the traffic.
    health = Endpoint.HealthCheckConfig(hostname=address, port_value=check_port or 0)
    member = LbEndpoint(
        endpoint=Endpoint(
            address=socket_address(address, listener.backend_port, listener.transport), health_check_config=health
        )
    )
    if listener.shares:
        member.load_balancing_weight.value = listener.shares.get(address, FULL_SHARE)
    return member
