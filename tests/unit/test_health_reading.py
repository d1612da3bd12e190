"""Lines as Envoy 1.40 writes them, and what they say about members."""

import json

from equipoise.node.telemetry.health_reading import from_clusters, from_events


def line(event: str, address: str = "10.0.0.1", cluster: str = "l1") -> str:
    host = {"socket_address": {"protocol": "TCP", "address": address, "port_value": 80}}
    return json.dumps({"health_checker_type": "TCP", "host": host, "cluster_name": cluster, event: {}})


def test_the_last_event_of_a_member_counts() -> None:
    lines = [line("add_healthy_event"), line("eject_unhealthy_event"), line("add_healthy_event", "10.0.0.2")]
    assert from_events(lines) == {("l1", "10.0.0.1"): False, ("l1", "10.0.0.2"): True}


def test_a_member_that_fails_its_first_check_is_unhealthy() -> None:
    assert from_events([line("health_check_failure_event")]) == {("l1", "10.0.0.1"): False}


def test_lines_that_say_nothing_about_health_are_passed_over() -> None:
    lines = ["", "{", "[]", "7", '{"cluster_name": "l1"}', line("degraded_healthy_host"), line("add_healthy_event")]
    assert from_events(lines) == {("l1", "10.0.0.1"): True}


def test_the_level_is_read_from_the_flags() -> None:
    text = (
        "equipoise::xds.sock::health_flags::healthy\n"
        "l1::observability_name::l1\n"
        "l1::10.0.0.1:80::cx_active::0\n"
        "l1::10.0.0.1:80::health_flags::healthy\n"
        "l1::10.0.0.2:80::health_flags::/failed_active_hc/active_hc_timeout\n"
    )
    assert from_clusters(text) == {("l1", "10.0.0.1"): True, ("l1", "10.0.0.2"): False}
