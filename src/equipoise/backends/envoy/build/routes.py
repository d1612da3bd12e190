"""The route table of an HTTP listener: everything goes to the cluster of the listener's pool, unchanged.

It is part of the listener, since nothing in it can change while the listener lives: its stickiness cannot be updated.
As a resource of its own it would cost Envoy 5 KiB for each listener and every start a round of requests.
"""

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import RetryPolicy, Route, RouteAction, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import UInt64Value

from equipoise.backends.envoy.build.encoding import packed
from equipoise.proxy.model import ProxyListener

_CHOICES = 30
"""How often another member is chosen until it is one that was not tried. A hash that is to lead elsewhere may hit the
same each time: with few choices some clients of the algorithm "source" never got away from the dead one of two."""

_REPEATABLE_BYTES = 1024 * 1024
"""Of the body of a request: as much is kept, so that it can be sent to another member. A body that has grown longer
before its member turns out not to be reachable is answered with 503 or 507 (docs/explanation/traffic.md)."""

_PAUSE = Duration(nanos=1_000_000)
"""Before another member is tried. Envoy draws a number of whole milliseconds below it, so there is none: in two of them
a fast client sends more of a body than is kept."""

_NEVER_REACHED_A_MEMBER = "connect-failure,refused-stream,reset-before-request"


def routes(listener: ProxyListener) -> RouteConfiguration:
    route = Route(
        match=RouteMatch(prefix="/"),
        route=_to_cluster(listener.default_pool),
        request_body_buffer_limit=UInt64Value(value=_REPEATABLE_BYTES),
    )
    return RouteConfiguration(
        name=listener.listener_id,
        virtual_hosts=[VirtualHost(name="all", domains=["*"], routes=[route])],
        request_headers_to_add=[_forwarded_for()],
        # Envoy's own remarks about the client are nobody else's business.
        request_headers_to_remove=["x-envoy-internal", "x-envoy-external-address"],
    )


def _forwarded_for() -> HeaderValueOption:
    """The client, after those that it names itself."""
    header = HeaderValue(key="x-forwarded-for", value="%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%")
    return HeaderValueOption(header=header, append_action=HeaderValueOption.APPEND_IF_EXISTS_OR_ADD)


def _to_cluster(name: str) -> RouteAction:
    by_source = RouteAction.HashPolicy(
        connection_properties=RouteAction.HashPolicy.ConnectionProperties(source_ip=True)
    )
    return RouteAction(
        cluster=name,
        # How long an answer may take is between client and member.
        timeout=Duration(),
        # Only the algorithm "source" reads it; present always, so that a change of algorithm is the cluster's alone.
        hash_policy=[by_source],
        retry_policy=_elsewhere(),
    )


def _elsewhere() -> RetryPolicy:
    """Try another member when the request did not reach the first; one that may have been acted on is not repeated."""
    other_member = RetryPolicy.RetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts", typed_config=packed(PreviousHostsPredicate())
    )
    policy = RetryPolicy(
        retry_on=_NEVER_REACHED_A_MEMBER,
        retry_host_predicate=[other_member],
        host_selection_retry_max_attempts=_CHOICES,
        retry_back_off=RetryPolicy.RetryBackOff(base_interval=_PAUSE, max_interval=_PAUSE),
    )
    policy.num_retries.value = 3
    return policy
