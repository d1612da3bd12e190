"""The cluster of a pool: how a member is chosen, reached and checked. Who the members are is not said here."""

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster, LoadBalancingPolicy
from envoy.config.core.v3.address_pb2 import BindConfig
from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions, HttpProtocolOptions
from envoy.config.core.v3.socket_option_pb2 import SocketOption
from envoy.extensions.load_balancing_policies.least_request.v3.least_request_pb2 import LeastRequest
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions as UpstreamHttpOptions
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt32Value

from equipoise.backends.envoy.build.encoding import BUFFER_BYTES, HEADER_LINES, over_ads, packed
from equipoise.backends.envoy.build.health_checks import health_check
from equipoise.backends.envoy.build.keepalive import of_members
from equipoise.backends.envoy.build.labels import LABEL_LEVEL, LABEL_OPTION, label
from equipoise.backends.envoy.build.names import UNCOUNTED
from equipoise.proxy.model import BalancingPolicy, Persistence, ProxyHealthCheck, ProxyPool, ServedProtocol

_UNLIMITED = 1_000_000
"""Envoy's default of 1,024 connections, requests and retries a cluster would answer 503 to an ordinary crowd."""

_CONNECT_SECONDS = 5

_KEPT_SECONDS = 4
"""Shorter than the keep-alive of common servers (5 s), so that a request seldom meets a connection being closed."""

_ANSWER_HEAD_KIB = 256
"""As much as a body that the client does not take; members are known, so it is more than a request may have."""

_MAGLEV_TABLE = 251
"""A prime above any sensible number of members; the default of 65,537 costs 0.5 MiB a cluster and a thread."""

_STICKY_TABLE = 65_537
"""Where the promise is to stay with a member: when another comes or goes 0.1 % of the addresses change theirs, with
251 entries it would be 2-7 %."""

_SESSIONS = 5_000
"""Sessions of UDP with one pool, until its node is told its share (`equipoise.backends.envoy.xds.shares`); what would
begin another is dropped. Each holds a file descriptor until it is idle for long enough, whoever sent the datagram."""


def cluster(pool: ProxyPool) -> Cluster:
    algorithm = _algorithm(pool)
    message = Cluster(
        name=pool.pool_id,
        type=Cluster.EDS,
        eds_cluster_config=Cluster.EdsClusterConfig(eds_config=over_ads()),
        connect_timeout=Duration(seconds=_CONNECT_SECONDS),
        per_connection_buffer_limit_bytes=UInt32Value(value=BUFFER_BYTES),
        circuit_breakers=_circuit_breakers(pool),
        upstream_connection_options=of_members(pool.keepalive),
        common_lb_config=_common(),
        # Otherwise a member that was taken out but is still healthy keeps getting new connections.
        ignore_health_on_host_removal=True,
    )
    if algorithm is BalancingPolicy.LEAST_CONNECTIONS:
        message.load_balancing_policy.CopyFrom(_least_of_all())
    if algorithm is BalancingPolicy.SOURCE:
        message.lb_policy = Cluster.MAGLEV
        message.maglev_lb_config.table_size.value = _STICKY_TABLE if _by_address(pool) else _MAGLEV_TABLE
    if pool.protocol is not ServedProtocol.UDP:
        # Of UDP it is read how many sessions could not begin.
        message.alt_stat_name = UNCOUNTED
    if pool.protocol is ServedProtocol.TCP:
        message.upstream_bind_config.CopyFrom(_labelled(pool.pool_id))
    if pool.protocol.carries_http:
        options = message.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
        options.CopyFrom(packed(_http_to_member(pool.health_check)))
    if pool.proxy_check is not None:
        message.health_checks.append(health_check(pool.proxy_check))
    return message


def _common() -> Cluster.CommonLbConfig:
    return Cluster.CommonLbConfig(
        # With every member down the answer is an error, not a gamble on members known to be down.
        healthy_panic_threshold=Percent(value=0),
        # Present and zero: a change of health counts at once; left out, Envoy gathers such changes for a second.
        update_merge_window=Duration(),
    )


def _algorithm(pool: ProxyPool) -> BalancingPolicy:
    if _by_address(pool):
        return BalancingPolicy.SOURCE
    if pool.protocol is ServedProtocol.UDP and pool.algorithm is BalancingPolicy.LEAST_CONNECTIONS:
        # Envoy counts no sessions of UDP by member: to it all have equally few, and one is picked by chance.
        return BalancingPolicy.ROUND_ROBIN
    return pool.algorithm


def _least_of_all() -> LoadBalancingPolicy:
    """The member with the fewest, among all. Envoy's default compares two picked by chance, so that of two members the
    busy one would still get a quarter."""
    policy = LoadBalancingPolicy()
    extension = policy.policies.add().typed_extension_config
    extension.name = "envoy.load_balancing_policies.least_request"
    extension.typed_config.CopyFrom(packed(LeastRequest(selection_method=LeastRequest.FULL_SCAN)))
    return policy


def _by_address(pool: ProxyPool) -> bool:
    """Whether clients stay with their member by their address, beside what the algorithm says."""
    return pool.persistence is Persistence.SOURCE_IP


def _labelled(pool_id: str) -> BindConfig:
    """Let the connections of this pool be told from others; no source address is bound."""
    option = SocketOption(level=LABEL_LEVEL, name=LABEL_OPTION, buf_value=label(pool_id))
    option.state = SocketOption.STATE_PREBIND
    return BindConfig(socket_options=[option])


def _circuit_breakers(pool: ProxyPool) -> CircuitBreakers:
    limit = UInt32Value(value=_UNLIMITED)
    connections = UInt32Value(value=_SESSIONS) if pool.protocol is ServedProtocol.UDP else limit
    thresholds = CircuitBreakers.Thresholds(
        max_connections=connections, max_pending_requests=limit, max_requests=limit, max_retries=limit
    )
    return CircuitBreakers(thresholds=[thresholds])


def _http_to_member(check: ProxyHealthCheck | None) -> UpstreamHttpOptions:
    return UpstreamHttpOptions(
        common_http_protocol_options=_kept(check),
        explicit_http_config=UpstreamHttpOptions.ExplicitHttpConfig(
            http_protocol_options=Http1ProtocolOptions(enable_trailers=True)
        ),
    )


def _kept(check: ProxyHealthCheck | None) -> HttpProtocolOptions:
    """How long a connection to a member is kept for further requests, and what an answer may hold.

    Envoy counts a health check that waits for its answer as idle, so the idle time would end every check that may take
    longer. Beside such a check connections are replaced at an age instead: that age does not count for checks, a
    request under way is finished first, and none of them is idle for longer either.
    """
    options = HttpProtocolOptions(
        max_headers_count=UInt32Value(value=HEADER_LINES), max_response_headers_kb=UInt32Value(value=_ANSWER_HEAD_KIB)
    )
    limited_by_age = check is not None and check.protocol is ServedProtocol.HTTP and check.timeout >= _KEPT_SECONDS
    limit = options.max_connection_duration if limited_by_age else options.idle_timeout
    limit.seconds = _KEPT_SECONDS
    return options
