"""The listener: the address it occupies and how bytes or requests are taken in.

Envoy closes a listener's connections when the listener changes, so it holds only what belongs to the place itself.
Algorithm, members, health checks, certificates and the filter of a TCP listener are resources of their own; the routes
of HTTP, of which nothing can change, are not.
"""

import socket

from envoy.config.core.v3.config_source_pb2 import ExtensionConfigSource
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions, HttpProtocolOptions
from envoy.config.core.v3.socket_option_pb2 import SocketOption
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from envoy.type.v3.hash_policy_pb2 import HashPolicy
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from equipoise.backends.envoy.build.access_logs import access_logs
from equipoise.backends.envoy.build.encoding import BUFFER_BYTES, HEADER_LINES, over_ads, packed, socket_address
from equipoise.backends.envoy.build.keepalive import of_clients
from equipoise.backends.envoy.build.routes import routes
from equipoise.backends.envoy.build.stickiness import stickiness_by_cookie
from equipoise.backends.envoy.build.tls import downstream_tls
from equipoise.backends.envoy.build.udp import udp_listener, udp_proxy
from equipoise.backends.envoy.build.upgrades import ignored_upgrades, upgrades
from equipoise.proxy.model import Persistence, ProxyListener, ProxyLoadBalancer, ProxyPool, ServedProtocol

_BACKLOG = 4096
"""Envoy's default of 128 drops bursts; the kernel lowers it to net.core.somaxconn if that is less."""

_RECEIVE_BYTES = 4 * 1024 * 1024
"""What comes while a worker makes new sessions waits here; the kernel's default of 208 KiB lost one in four datagrams
of a burst of 4,000 clients. The kernel lowers it to net.core.rmem_max."""

_CONNECT_ATTEMPTS = 4
"""A connection whose first member does not answer tries others; more would only make a hopeless client wait."""

_TCP_IDLE_SECONDS = 3600
"""Connections whose client vanished would otherwise be kept for ever."""

_TCP_PROXY = f"type.googleapis.com/{TcpProxy.DESCRIPTOR.full_name}"

_HEADER_SECONDS = 60
"""A request must say what it wants within this time; there is no limit on how long it may then take."""

_REQUEST_HEAD_KIB = 128
"""A head that is not complete yet holds its size and a fifth more, for as long as `_HEADER_SECONDS`."""

_HANDSHAKE_SECONDS = 30
"""Whoever opens a connection and does not come to an end with the handshake must not hold it for ever."""


def listener(name: str, load_balancer: ProxyLoadBalancer, each: ProxyListener, pool: ProxyPool) -> Listener:
    address = load_balancer.address
    if each.protocol is ServedProtocol.UDP:
        return _over_udp(name, load_balancer, each)
    proxy = _requests(load_balancer, each, pool) if each.protocol.carries_http else _tcp_elsewhere(each)
    return Listener(
        name=name,
        stat_prefix=each.listener_id,
        address=socket_address(address, each.port),
        filter_chains=[_filter_chain(proxy, each)],
        per_connection_buffer_limit_bytes=UInt32Value(value=BUFFER_BYTES),
        tcp_backlog_size=UInt32Value(value=_BACKLOG),
        # Part of a listener that Envoy rejects to change: another value means another Envoy (`node.bootstrap`).
        socket_options=of_clients(each.keepalive),
        # With SO_REUSEPORT another process of the same user could hold the port too, and silently take a share.
        enable_reuse_port=BoolValue(value=False),
        # The workers then accept from one socket, and one that is awake takes most: so they hand on to each other.
        connection_balance_config=Listener.ConnectionBalanceConfig(
            exact_balance=Listener.ConnectionBalanceConfig.ExactBalance()
        ),
    )


def _over_udp(name: str, load_balancer: ProxyLoadBalancer, each: ProxyListener) -> Listener:
    return Listener(
        name=name,
        stat_prefix=each.listener_id,
        address=socket_address(load_balancer.address, each.port, each.transport),
        listener_filters=[udp_proxy(load_balancer.load_balancer_id, each)],
        udp_listener_config=udp_listener(),
        socket_options=[_receive_buffer()],
        # Envoy takes no UDP listener without it once it has several workers. That nobody else shares the port is
        # seen to before the listener is sent (`node_state`).
        enable_reuse_port=BoolValue(value=True),
    )


def _receive_buffer() -> SocketOption:
    return SocketOption(
        description="a burst waits here",
        level=socket.SOL_SOCKET,
        name=socket.SO_RCVBUF,
        int_value=_RECEIVE_BYTES,
        state=SocketOption.STATE_PREBIND,
    )


def _filter_chain(proxy: Filter, each: ProxyListener) -> FilterChain:
    chain = FilterChain(name="all", filters=[proxy])
    if each.tls is not None:
        chain.transport_socket.CopyFrom(downstream_tls(each.listener_id, each.tls))
        chain.transport_socket_connect_timeout.seconds = _HANDSHAKE_SECONDS
    return chain


def _tcp_elsewhere(each: ProxyListener) -> Filter:
    """Refer to the filter by name: a change of it then leaves the listener, and the connections on it, alone."""
    source = ExtensionConfigSource(config_source=over_ads(), type_urls=[_TCP_PROXY])
    return Filter(name=each.listener_id, config_discovery=source)


def tcp_filter(load_balancer: ProxyLoadBalancer, each: ProxyListener) -> TypedExtensionConfig:
    """Return what takes in the connections of a TCP listener, a resource of its own."""
    proxy = TcpProxy(
        stat_prefix=each.listener_id,
        cluster=each.default_pool,
        max_connect_attempts=UInt32Value(value=_CONNECT_ATTEMPTS),
        # Only the algorithm "source" reads it; present always, so that a change of algorithm is the cluster's alone.
        hash_policy=[HashPolicy(source_ip=HashPolicy.SourceIp())],
        access_log=access_logs(load_balancer.load_balancer_id, each),
    )
    proxy.idle_timeout.seconds = _TCP_IDLE_SECONDS if each.idle_timeout is None else each.idle_timeout
    return TypedExtensionConfig(name=each.listener_id, typed_config=packed(proxy))


def _requests(load_balancer: ProxyLoadBalancer, each: ProxyListener, pool: ProxyPool) -> Filter:
    manager = HttpConnectionManager(
        stat_prefix=each.listener_id,
        # Not AUTO: HTTP/2 without TLS is not offered, and sniffing for it costs every connection something.
        codec_type=HttpConnectionManager.HTTP1,
        route_config=routes(each),
        http_filters=_http_filters(each, pool),
        http_protocol_options=_http_1(load_balancer.address),
        common_http_protocol_options=_http(each),
        max_request_headers_kb=UInt32Value(value=_REQUEST_HEAD_KIB),
        upgrade_configs=upgrades(),
        # Whether a body is wanted is for the member to say: it may answer 413 instead of 100.
        proxy_100_continue=True,
        # The client is whoever opened the connection: X-Forwarded-Proto says so to the member. X-Forwarded-For is
        # the routes' matter: in place of a client on the same machine Envoy would name an address of the machine.
        use_remote_address=BoolValue(value=True),
        skip_xff_append=True,
        generate_request_id=BoolValue(value=False),
        preserve_external_request_id=True,
        server_header_transformation=HttpConnectionManager.PASS_THROUGH,
        normalize_path=BoolValue(value=False),
        path_with_escaped_slashes_action=HttpConnectionManager.KEEP_UNCHANGED,
        stream_idle_timeout=Duration(),
        request_headers_timeout=Duration(seconds=_HEADER_SECONDS),
        # HTTP/1.1 needs no time to say goodbye; with the default of 5 s an idle connection is closed that much late.
        drain_timeout=Duration(nanos=10_000_000),
        access_log=access_logs(load_balancer.load_balancer_id, each),
    )
    return Filter(name="envoy.filters.network.http_connection_manager", typed_config=packed(manager))


def _http_1(address: str) -> Http1ProtocolOptions:
    return Http1ProtocolOptions(
        accept_http_10=True,
        default_host_for_http_10=address,
        # Which methods there are is for the member to say.
        allow_custom_methods=True,
        enable_trailers=True,
        ignore_http_11_upgrade=[ignored_upgrades()],
    )


def _http(each: ProxyListener) -> HttpProtocolOptions:
    options = HttpProtocolOptions(max_headers_count=UInt32Value(value=HEADER_LINES))
    if each.idle_timeout is not None:
        options.idle_timeout.seconds = each.idle_timeout
    return options


def _http_filters(each: ProxyListener, pool: ProxyPool) -> list[HttpFilter]:
    by_cookie = pool.persistence is Persistence.HTTP_COOKIE
    return [stickiness_by_cookie(each, pool), _router()] if by_cookie else [_router()]


def _router() -> HttpFilter:
    router = Router(dynamic_stats=BoolValue(value=False), suppress_envoy_headers=True)
    return HttpFilter(name="envoy.filters.http.router", typed_config=packed(router))
