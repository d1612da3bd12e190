"""The part of a listener that takes in datagrams. What the place itself is, is said in `listeners`.

A session is what comes from one client address and port: it gets a member at its first datagram and keeps it until
nothing has passed for the idle time-out, in either direction.
"""

from envoy.config.core.v3.udp_socket_config_pb2 import UdpSocketConfig
from envoy.config.listener.v3.listener_components_pb2 import ListenerFilter
from envoy.config.listener.v3.udp_listener_config_pb2 import UdpListenerConfig
from envoy.extensions.filters.udp.udp_proxy.v3.udp_proxy_pb2 import UdpProxyConfig
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue, UInt64Value

from equipoise.backends.envoy.build.access_logs import access_logs
from equipoise.backends.envoy.build.encoding import packed
from equipoise.proxy.model import ProxyListener

_IDLE_SECONDS = 60
"""Every session holds a file descriptor until it ends, and a client that asks from a new port each time makes a new
session each time: 100 a second make 6,000. So the default is the shortest that users can ask for."""

_LARGEST_DATAGRAM = 65_535
"""Envoy's default of 1,500 bytes drops every datagram that was put together from fragments."""


def udp_proxy(load_balancer_id: str, each: ProxyListener) -> ListenerFilter:
    proxy = UdpProxyConfig(
        stat_prefix=each.listener_id,
        # Called deprecated for the sake of `matcher`, which in its turn is called not stable; this one just works.
        cluster=each.default_pool,
        idle_timeout=Duration(seconds=_IDLE_SECONDS if each.idle_timeout is None else each.idle_timeout),
        # Only the algorithm "source" reads it; present always, so that a change of algorithm is the cluster's alone.
        hash_policies=[UdpProxyConfig.HashPolicy(source_ip=True)],
        upstream_socket_config=_socket(),
        access_log=access_logs(load_balancer_id, each),
    )
    return ListenerFilter(name="envoy.filters.udp_listener.udp_proxy", typed_config=packed(proxy))


def udp_listener() -> UdpListenerConfig:
    return UdpListenerConfig(downstream_socket_config=_socket())


def _socket() -> UdpSocketConfig:
    return UdpSocketConfig(max_rx_datagram_size=UInt64Value(value=_LARGEST_DATAGRAM), prefer_gro=BoolValue(value=True))
