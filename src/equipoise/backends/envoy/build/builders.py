"""From the proxy model to Envoy resources: which resources a load balancer has. What each holds is told beside it.

Pure: no clock, no store, no log. Equal models give equal bytes, and so equal versions, in every process.
"""

from collections.abc import Iterator

from equipoise.backends.envoy.build.clusters import cluster
from equipoise.backends.envoy.build.encoding import resource
from equipoise.backends.envoy.build.endpoints import endpoints
from equipoise.backends.envoy.build.listeners import listener, tcp_filter
from equipoise.backends.envoy.build.names import listener_name
from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.tls import secret
from equipoise.backends.envoy.build.type_urls import CLUSTER, ENDPOINTS, FILTER, LISTENER, SECRET
from equipoise.core.references import Scope
from equipoise.core.references import listeners as listener_refs
from equipoise.core.references import pools as pool_refs
from equipoise.proxy.model import ListenAddress, ProxyListener, ProxyLoadBalancer, ProxyPool, ServedProtocol


def build(load_balancer: ProxyLoadBalancer) -> tuple[Resource, ...]:
    """Return every resource that is to be in force for a load balancer; none when it has no listeners."""
    return tuple(_built(load_balancer))


def _built(load_balancer: ProxyLoadBalancer) -> Iterator[Resource]:
    pools = {pool.pool_id: pool for pool in load_balancer.pools}
    done: set[str] = set()
    for each in load_balancer.listeners:
        pool = pools[each.default_pool]
        if pool.pool_id not in done:
            done.add(pool.pool_id)
            users = [other.listener_id for other in load_balancer.listeners if other.default_pool == pool.pool_id]
            yield from _of_pool(pool, pool_refs(pool.pool_id) | listener_refs(*users))
        yield from _of_listener(load_balancer, each, pool)


def _of_pool(pool: ProxyPool, concerns: Scope) -> Iterator[Resource]:
    yield resource(CLUSTER, pool.pool_id, cluster(pool), pool.pool_id, concerns=concerns)
    yield resource(ENDPOINTS, pool.pool_id, endpoints(pool), pool.pool_id, concerns=concerns)


def _of_listener(load_balancer: ProxyLoadBalancer, each: ProxyListener, pool: ProxyPool) -> Iterator[Resource]:
    id = each.listener_id
    # What is private to it comes and goes with it.
    concerns = listener_refs(id) | (pool_refs(id) if pool.pool_id == id else frozenset())
    name = listener_name(load_balancer.load_balancer_id, each.transport, each.port)
    listen_address = ListenAddress(each.transport, load_balancer.address, each.port)
    message = listener(name, load_balancer, each, pool)
    yield resource(LISTENER, name, message, id, leads_to=pool.pool_id, listen_address=listen_address, concerns=concerns)
    if each.tls is not None:
        yield resource(SECRET, id, secret(id, each.tls), id, concerns=concerns)
    if each.protocol is ServedProtocol.TCP:
        yield resource(FILTER, id, tcp_filter(load_balancer, each), id, leads_to=pool.pool_id, concerns=concerns)
