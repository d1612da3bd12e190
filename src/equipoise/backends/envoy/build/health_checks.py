"""How Envoy checks a member. Reading what it found is the business of `equipoise.node.telemetry`.

A check over HTTP passes with any status from 200 to 399: a member that redirects is alive. Any other status
counts as one failure; without `retriable_statuses` a single one would take the member out, whatever the threshold.

The port of a check is told with the member: Envoy 1.40 has a field `alt_port` here and takes no notice of it.
"""

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.health_check_pb2 import HealthCheck
from envoy.extensions.health_check.event_sinks.file.v3.file_pb2 import HealthCheckEventFileSink
from envoy.type.v3.range_pb2 import Int64Range
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from equipoise.backends.envoy.build.encoding import packed
from equipoise.proxy.model import ProxyHealthCheck, ServedProtocol

EVENT_FILE = "health.log"
"""Where Envoy writes one line of JSON for each change of a member's health; relative to its working directory."""

_PASSES = Int64Range(start=200, end=400)
_COUNTS_AS_ONE_FAILURE = (Int64Range(start=100, end=200), Int64Range(start=400, end=600))


def health_check(check: ProxyHealthCheck) -> HealthCheck:
    interval = Duration(seconds=check.interval)
    message = HealthCheck(
        timeout=Duration(seconds=check.timeout),
        interval=interval,
        # Envoy checks a cluster that carries no traffic once a minute unless told otherwise.
        no_traffic_interval=interval,
        healthy_threshold=UInt32Value(value=check.healthy_threshold),
        unhealthy_threshold=UInt32Value(value=check.unhealthy_threshold),
        # A kept connection would not notice that a member takes no new ones.
        reuse_connection=BoolValue(value=False),
        event_logger=[_to_file()],
    )
    if check.protocol is ServedProtocol.HTTP:
        message.http_health_check.CopyFrom(_over_http(check.path or "/"))
    else:
        message.tcp_health_check.SetInParent()
    return message


def _over_http(path: str) -> HealthCheck.HttpHealthCheck:
    return HealthCheck.HttpHealthCheck(
        path=path, expected_statuses=[_PASSES], retriable_statuses=list(_COUNTS_AS_ONE_FAILURE)
    )


def _to_file() -> TypedExtensionConfig:
    sink = HealthCheckEventFileSink(event_log_path=EVENT_FILE)
    return TypedExtensionConfig(name="envoy.health_check.event_sink.file", typed_config=packed(sink))
