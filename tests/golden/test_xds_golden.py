"""Envoy resources as files. A new case is a new file in `xds/in`; UPDATE_GOLDEN=1 writes what is in `xds/out`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from google.protobuf.json_format import MessageToDict

from equipoise.backends.envoy.build.builders import build
from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.type_urls import CLUSTER, ENDPOINTS, FILTER, LISTENER, SECRET
from equipoise.proxy.model import (
    BalancingPolicy,
    CipherSet,
    Persistence,
    ProxyHealthCheck,
    ProxyListener,
    ProxyLoadBalancer,
    ProxyMember,
    ProxyPool,
    ProxyTls,
    ServedProtocol,
)

CASES = Path(__file__).parent / "xds"
MESSAGES = {
    CLUSTER: Cluster,
    ENDPOINTS: ClusterLoadAssignment,
    SECRET: Secret,
    LISTENER: Listener,
    FILTER: TypedExtensionConfig,
}


def read_case(path: Path) -> ProxyLoadBalancer:
    case = json.loads(path.read_text())
    return ProxyLoadBalancer(
        case["load_balancer_id"],
        case["address"],
        tuple(_listener(each) for each in case["listeners"]),
        tuple(_pool(each) for each in case["pools"]),
    )


def _listener(case: dict[str, Any]) -> ProxyListener:
    tls = case.get("tls")
    read = {
        "protocol": ServedProtocol(case["protocol"]),
        "tls": tls and ProxyTls(**{**tls, "ciphers": CipherSet(tls["ciphers"])}),
    }
    return ProxyListener(**case | read)


def _pool(case: dict[str, Any]) -> ProxyPool:
    check, persistence = case["health_check"], case.get("persistence")
    read = {
        "protocol": ServedProtocol(case["protocol"]),
        "algorithm": BalancingPolicy(case["algorithm"]),
        "members": tuple(ProxyMember(**each) for each in case["members"]),
        "health_check": check and ProxyHealthCheck(**{**check, "protocol": ServedProtocol(check["protocol"])}),
        "persistence": persistence and Persistence(persistence),
    }
    return ProxyPool(**case | read)


def shown(resource: Resource) -> dict[str, Any]:
    message = MESSAGES[resource.type_url].FromString(resource.body)
    return {
        "name": resource.name,
        "listener_id": resource.owner,
        "version": resource.version,
        "body": MessageToDict(message, preserving_proto_field_name=True),
    }


@pytest.mark.parametrize("path", sorted((CASES / "in").glob("*.json")), ids=lambda path: path.stem)
def test_a_load_balancer_is_built_as_recorded(path: Path) -> None:
    built = json.dumps([shown(resource) for resource in build(read_case(path))], indent=2, sort_keys=True) + "\n"
    recorded = CASES / "out" / path.name
    if os.environ.get("UPDATE_GOLDEN"):
        recorded.write_text(built)
    assert recorded.read_text() == built


def test_every_recorded_result_belongs_to_a_case() -> None:
    names = [{path.name for path in (CASES / side).iterdir()} for side in ("in", "out")]
    assert names[0] == names[1]
