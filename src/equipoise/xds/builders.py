"""From the proxy model to Envoy resources: which resources a load balancer has. What each holds is told beside it.

Pure: no clock, no store, no log. Equal models give equal bytes, and so equal versions, in every process.
"""

from collections.abc import Iterator

from equipoise.xds.clusters import cluster
from equipoise.xds.encoding import resource
from equipoise.xds.endpoints import endpoints
from equipoise.xds.listeners import listener, tcp_filter
from equipoise.xds.model import Place, Protocol, ProxyListener, ProxyLoadBalancer, Resource
from equipoise.xds.names import listener_name
from equipoise.xds.tls import secret
from equipoise.xds.type_urls import CLUSTER, ENDPOINTS, FILTER, LISTENER, SECRET


def build(load_balancer: ProxyLoadBalancer) -> tuple[Resource, ...]:
    """Return every resource that is to be in force for a load balancer; none when it has no listeners."""
    return tuple(built for each in load_balancer.listeners for built in _of_listener(load_balancer, each))


def _of_listener(load_balancer: ProxyLoadBalancer, each: ProxyListener) -> Iterator[Resource]:
    listener_id = each.listener_id
    yield resource(CLUSTER, listener_id, cluster(each), listener_id)
    yield resource(ENDPOINTS, listener_id, endpoints(each), listener_id)
    name = listener_name(load_balancer.load_balancer_id, each.transport, each.port)
    place = Place(each.transport, load_balancer.address, each.port)
    yield resource(LISTENER, name, listener(name, load_balancer, each), listener_id, place)
    if each.tls is not None:
        yield resource(SECRET, listener_id, secret(listener_id, each.tls), listener_id)
    if each.protocol is Protocol.TCP:
        yield resource(FILTER, listener_id, tcp_filter(load_balancer, each), listener_id)
