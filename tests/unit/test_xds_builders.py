"""What must hold for whatever is built; what exactly is built is recorded in `tests/golden/xds`."""

import socket
from dataclasses import replace

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from equipoise.backends.envoy.build.builders import build
from equipoise.backends.envoy.build.keepalive import MOST_BETWEEN_PROBES, PROBES
from equipoise.backends.envoy.build.labels import label
from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.stickiness import cookie_name
from equipoise.backends.envoy.build.type_urls import CLUSTER, ENDPOINTS, FILTER, LISTENER, SECRET
from equipoise.proxy.model import (
    BalancingPolicy,
    CipherSet,
    ListenAddress,
    ProxyHealthCheck,
    ProxyTls,
    ServedProtocol,
    Transport,
)
from tests.proxies import Served, serving

CHECK = ProxyHealthCheck(ServedProtocol.HTTP, "/up", None, 7, 3, 2, 2)
TCP = Served("l1", ServedProtocol.TCP, 8080, 80, BalancingPolicy.ROUND_ROBIN, ("10.0.0.1",), None, None)
HTTP = replace(TCP, protocol=ServedProtocol.HTTP)
UDP = replace(TCP, protocol=ServedProtocol.UDP)
TLS = ProxyTls("certificate", "the private key", False, CipherSet.DEFAULT)
HTTPS = replace(HTTP, protocol=ServedProtocol.HTTPS, tls=TLS)


def built(listener: Served, load_balancer_id: str = "lb") -> dict[str, Resource]:
    resources = build(serving(load_balancer_id, "10.0.0.5", (listener,)))
    return {resource.type_url: resource for resource in resources}


def what_changes(before: Served, after: Served) -> set[str]:
    old, new = built(before), built(after)
    return {type_url for type_url in old if old[type_url] != new[type_url]}


def test_the_filter_of_tcp_and_the_certificate_of_https_are_resources_of_their_own() -> None:
    assert built(TCP).keys() == {CLUSTER, ENDPOINTS, LISTENER, FILTER}
    assert built(HTTP).keys() == {CLUSTER, ENDPOINTS, LISTENER}
    assert built(HTTPS).keys() == {CLUSTER, ENDPOINTS, LISTENER, SECRET}


@pytest.mark.parametrize("listener", [TCP, HTTP, HTTPS], ids=["TCP", "HTTP", "HTTPS"])
def test_the_listener_stays_what_it_is_when_anything_behind_it_changes(listener: Served) -> None:
    assert what_changes(listener, replace(listener, members=())) == {ENDPOINTS}
    assert what_changes(listener, replace(listener, backend_port=81)) == {ENDPOINTS}
    assert what_changes(listener, replace(listener, health_check=CHECK)) == {CLUSTER}
    elsewhere = replace(CHECK, port=9000)
    assert what_changes(listener, replace(listener, health_check=elsewhere)) == {CLUSTER, ENDPOINTS}
    assert what_changes(listener, replace(listener, algorithm=BalancingPolicy.SOURCE)) == {CLUSTER}


def test_the_weights_of_members_are_told_only_where_they_differ() -> None:
    several = replace(HTTP, members=("10.0.0.1", "10.0.0.2"))
    slowed = replace(several, weights={"10.0.0.1": 10, "10.0.0.2": 1})
    assert what_changes(several, slowed) == {ENDPOINTS}
    assert weights(slowed) == [10, 1]
    assert weights(several) == [0, 0]


def weights(listener: Served) -> list[int]:
    """0 where there is none."""
    members = ClusterLoadAssignment.FromString(built(listener)[ENDPOINTS].body).endpoints[0].lb_endpoints
    return [each.load_balancing_weight.value for each in members]


@pytest.mark.parametrize("protocol", [ServedProtocol.HTTP, ServedProtocol.TCP])
@pytest.mark.parametrize("timeout", [1, 3, 4, 50])
def test_no_idle_time_of_ours_ends_a_check_over_http_before_its_own_time_out(
    protocol: ServedProtocol, timeout: int
) -> None:
    checked = replace(HTTP, health_check=replace(CHECK, protocol=protocol, timeout=timeout))
    packed = Cluster.FromString(built(checked)[CLUSTER].body).typed_extension_protocol_options.values()
    options = HttpProtocolOptions.FromString(next(iter(packed)).value).common_http_protocol_options
    if protocol is ServedProtocol.HTTP:
        assert not options.HasField("idle_timeout") or options.idle_timeout.seconds > timeout
    # Members commonly close connections after 5 s.
    assert {options.idle_timeout.seconds, options.max_connection_duration.seconds} == {0, 4}


def test_another_certificate_is_the_secrets_alone_and_another_way_to_speak_tls_the_listeners() -> None:
    assert what_changes(HTTPS, replace(HTTPS, tls=replace(TLS, certificate="c", private_key="k"))) == {SECRET}
    assert what_changes(HTTPS, replace(HTTPS, tls=replace(TLS, ciphers=CipherSet.STRICT))) == {LISTENER}
    assert what_changes(HTTPS, replace(HTTPS, tls=replace(TLS, since_tls_1_0=True))) == {LISTENER}


def test_the_private_key_is_in_no_text_about_the_model_or_the_resources() -> None:
    assert "the private key" not in repr(HTTPS)
    assert "the private key" not in repr(built(HTTPS))


def test_stickiness_is_the_cluster_s_over_tcp_and_the_listener_s_over_http() -> None:
    assert what_changes(TCP, replace(TCP, is_sticky=True)) == {CLUSTER}
    assert what_changes(HTTP, replace(HTTP, is_sticky=True)) == {LISTENER}


def test_another_idle_time_of_a_tcp_listener_is_its_filter_s_alone() -> None:
    assert what_changes(TCP, replace(TCP, idle_timeout=60)) == {FILTER}


def test_connections_to_members_are_labelled_by_listener_and_no_address_is_bound() -> None:
    binds = [
        Cluster.FromString(built(replace(TCP, listener_id=id))[CLUSTER].body).upstream_bind_config
        for id in ("l1", "l2")
    ]
    assert [bind.socket_options[0].buf_value for bind in binds] == [label("l1"), label("l2")]
    assert label("l1") != label("l2")
    assert not any(bind.HasField("source_address") for bind in binds)


def test_each_listener_has_a_cookie_of_its_own() -> None:
    assert cookie_name("a" * 32) == "lb-aaaaaaaa"
    assert cookie_name("a" * 32) != cookie_name("b" * 32)


def test_a_listener_is_named_by_what_it_occupies() -> None:
    assert built(TCP)[LISTENER].name == built(replace(TCP, listener_id="l2"))[LISTENER].name == "lb/tcp/8080"
    assert built(replace(TCP, port=8081))[LISTENER].name == "lb/tcp/8081"


def test_equal_models_have_equal_versions_and_others_have_not() -> None:
    assert built(HTTP) == built(replace(HTTP))
    assert built(HTTP)[LISTENER].version != built(replace(HTTP, idle_timeout=5))[LISTENER].version


def test_a_member_of_a_quiet_listener_is_checked_as_often_as_any_other() -> None:
    check = Cluster.FromString(built(replace(TCP, health_check=CHECK))[CLUSTER].body).health_checks[0]
    assert check.no_traffic_interval == check.interval
    assert check.interval.seconds == 7


def test_a_port_is_never_shared_with_another_process() -> None:
    listener = Listener.FromString(built(TCP)[LISTENER].body)
    assert listener.HasField("enable_reuse_port")
    assert not listener.enable_reuse_port.value


@pytest.mark.parametrize("listener", [TCP, HTTP, HTTPS], ids=["TCP", "HTTP", "HTTPS"])
def test_workers_that_accept_from_one_socket_share_the_connections_out(listener: Served) -> None:
    message = Listener.FromString(built(listener)[LISTENER].body)
    assert message.connection_balance_config.HasField("exact_balance")


@pytest.mark.parametrize("listener", [TCP, HTTP, HTTPS], ids=["TCP", "HTTP", "HTTPS"])
def test_both_ends_of_a_connection_are_asked_whether_they_are_there(listener: Served) -> None:
    resources = built(replace(listener, keepalive=300))
    asked = Cluster.FromString(resources[CLUSTER].body).upstream_connection_options.tcp_keepalive
    wanted = [300, MOST_BETWEEN_PROBES, PROBES]
    assert [asked.keepalive_time.value, asked.keepalive_interval.value, asked.keepalive_probes.value] == wanted
    options = Listener.FromString(resources[LISTENER].body).socket_options
    assert {(each.level, each.name): each.int_value for each in options} == {
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 300,
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): MOST_BETWEEN_PROBES,
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): PROBES,
    }


@pytest.mark.parametrize("listener", [TCP, HTTP, HTTPS], ids=["TCP", "HTTP", "HTTPS"])
def test_nobody_is_asked_where_that_is_switched_off(listener: Served) -> None:
    resources = built(replace(listener, keepalive=0))
    assert not Cluster.FromString(resources[CLUSTER].body).HasField("upstream_connection_options")
    [option] = Listener.FromString(resources[LISTENER].body).socket_options
    assert (option.level, option.name, option.int_value) == (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)


def test_tcp_and_udp_occupy_places_of_their_own_on_one_port() -> None:
    listeners = (TCP, replace(UDP, listener_id="l2"))
    resources = build(serving("lb", "10.0.0.5", listeners))
    places = {each.name: each.listen_address for each in resources if each.type_url == LISTENER}
    assert places == {
        "lb/tcp/8080": ListenAddress(Transport.TCP, "10.0.0.5", 8080),
        "lb/udp/8080": ListenAddress(Transport.UDP, "10.0.0.5", 8080),
    }


def test_sessions_of_udp_stay_when_anything_behind_the_listener_changes() -> None:
    assert what_changes(UDP, replace(UDP, members=())) == {ENDPOINTS}
    assert what_changes(UDP, replace(UDP, algorithm=BalancingPolicy.SOURCE)) == {CLUSTER}


def test_several_workers_need_a_shared_port_for_udp() -> None:
    assert Listener.FromString(built(UDP)[LISTENER].body).enable_reuse_port.value


def test_sessions_of_udp_are_limited_and_more_than_envoys_default() -> None:
    [limits] = Cluster.FromString(built(UDP)[CLUSTER].body).circuit_breakers.thresholds
    assert limits.max_connections.value == 5_000


def test_leastconn_takes_turns_over_udp() -> None:
    message = Cluster.FromString(built(replace(UDP, algorithm=BalancingPolicy.LEAST_CONNECTIONS))[CLUSTER].body)
    assert message.lb_policy == Cluster.ROUND_ROBIN
