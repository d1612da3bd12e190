"""What Envoy is told at its start."""

import json

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap

# So that the typed parts of the bootstrap can be read.
from envoy.extensions.resource_monitors.downstream_connections.v3 import downstream_connections_pb2  # noqa: F401
from envoy.extensions.resource_monitors.injected_resource.v3 import injected_resource_pb2  # noqa: F401
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2  # noqa: F401
from google.protobuf.json_format import ParseDict

from equipoise.node.bootstrap import bootstrap, max_connections


def test_it_is_a_bootstrap_as_envoy_defines_it() -> None:
    message = ParseDict(bootstrap("node-7", 20_000), Bootstrap())
    assert message.node.id == "node-7"


def test_connections_leave_descriptors_for_everything_else() -> None:
    assert max_connections(20_000) == 6_000
    assert max_connections(1) == 1


def test_another_keepalive_is_another_envoy() -> None:
    assert bootstrap("n", 1024, 300) == bootstrap("n", 1024, 300)
    assert bootstrap("n", 1024, 300) != bootstrap("n", 1024, 299)


def test_paths_are_relative_so_that_a_long_directory_does_not_matter() -> None:
    assert "/xds.sock" not in json.dumps(bootstrap("n", 1024))
