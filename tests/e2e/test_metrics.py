"""The figures for Prometheus under traffic that the client counts itself."""

import asyncio
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from equipoise.metrics import families
from equipoise.node.admin import EnvoyAdmin
from equipoise.node.counters import READ
from equipoise.node.files import ADMIN_SOCKET
from stand import PATIENCE, Api, Backends, Service, can_connect, eventually, running_service
from stand.certificates import rsa_pair

DASHBOARD = Path("docs/dashboards/equipoise.json")
_LABELS = re.compile(r"\{[^}]*\}")
_NAMES = re.compile(r"\b(?:equipoise|process)_[a-z_]+\b")

LONGER_THAN = 0.05
"""Seconds that one request takes at least: Envoy counts in milliseconds, and the others take less than one."""

Sample = tuple[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("metrics") / "data", "monitor.interval=0.5") as one:
        yield one


@pytest.fixture
def client(service: Service) -> Iterator[Api]:
    with Api(service) as one:
        yield one


def page(service: Service) -> dict[str, Metric]:
    answer = httpx.get(f"{service.url}/metrics", verify=False, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {each.name: each for each in text_string_to_metric_families(answer.text)}


def value(service: Service, name: str, **labels: str) -> float | None:
    """The value of the one sample with these labels, None where there is none."""
    return value_on(page(service), name, **labels)


def value_on(found: Mapping[str, Metric], name: str, **labels: str) -> float | None:
    samples = [
        each.value
        for metric in found.values()
        for each in metric.samples
        if each.name == name and labels.items() <= each.labels.items()
    ]
    assert len(samples) <= 1, (name, labels)
    return samples[0] if samples else None


def serving(api: Api, backends: Backends, protocol: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    load_balancer = api.create_load_balancer(name=f"lb-{name}")
    listener = api.create_listener(load_balancer["id"], protocol=protocol, name=name, backend_port=backends.port)
    api.add_members(listener["id"], *backends.addresses[:2])
    return load_balancer, listener


def test_requests_are_counted_by_listener_member_and_class_of_their_status(
    service: Service, client: Api, backends: Backends
) -> None:
    load_balancer, listener = serving(client, backends, "HTTP", "web")
    front = f"http://{load_balancer['vip_address']}:8080"
    with httpx.Client(base_url=front, verify=False, timeout=PATIENCE) as web:
        for _ in range(7):
            assert web.get("/").status_code == 200
        assert web.post("/").status_code == 501
        with ThreadPoolExecutor(1) as beside:
            held = beside.submit(web.get, "/held")
            eventually(lambda: backends[0].held + backends[1].held == 1)
            time.sleep(LONGER_THAN)
            for each in range(2):
                backends[each].release.set()
            assert held.result().status_code == 200

    where = {"listener_id": listener["id"]}
    # Response times come with the look after the one that brings the rest.
    eventually(lambda: value(service, "equipoise_listener_request_duration_seconds_count", **where) == 9)
    found = page(service)
    one = found["equipoise_listener_connections"].samples[0].labels
    assert set(one) == set(families.CONNECTIONS.labels)

    def of(name: str, **labels: str) -> float | None:
        return value_on(found, f"equipoise_{name}", **where, **labels)

    assert of("listener_requests_total", code="5xx") == 1
    assert of("listener_connections_total", load_balancer="lb-web", listener="web") == 1
    assert of("listener_requests_total", code="2xx") == 8
    assert of("listener_request_duration_seconds_bucket", le="+Inf") == 9
    assert LONGER_THAN * 0.9 < (of("listener_request_duration_seconds_sum") or 0) < 60
    assert (of("listener_received_bytes_total") or 0) > 9 * len("GET / HTTP/1.1")
    assert (of("listener_sent_bytes_total") or 0) > 9 * len("HTTP/1.1 200 OK")
    by_member = {address: of("member_requests_total", address=address) for address in backends.addresses[:2]}
    assert sum(each or 0 for each in by_member.values()) == 9
    assert sum(of("member_successful_requests_total", address=address) or 0 for address in by_member) == 8
    assert value_on(found, "equipoise_load_balancer_info", load_balancer_id=load_balancer["id"]) == 1
    assert value_on(found, "equipoise_listener_info", protocol="HTTP", port="8080", **where) == 1


def test_counters_go_on_when_envoy_is_killed_and_open_connections_do_not(
    service: Service, client: Api, backends: Backends
) -> None:
    load_balancer, listener = serving(client, backends, "TCP", "tcp")
    where = {"listener_id": listener["id"]}
    place = load_balancer["vip_address"], 8080

    def total() -> float | None:
        return value(service, "equipoise_listener_connections_total", **where)

    def open_now() -> float | None:
        return value(service, "equipoise_listener_open_connections", state="active", **where)

    def open_to_members() -> float:
        found = page(service)
        each = (
            value_on(found, "equipoise_member_open_connections", address=address, **where)
            for address in backends.addresses[:2]
        )
        return sum(number or 0 for number in each)

    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(socket.create_connection(place))
        eventually(lambda: open_now() == 3)
        eventually(lambda: open_to_members() == 3)
        killed = service.envoy_pid
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: service.envoy_pid != killed and total() == 3)

    # One more, which is closed at once: the look that counts it may have come before its end.
    eventually(lambda: can_connect(*place))
    eventually(lambda: total() == 4)
    eventually(lambda: open_now() == 0)


def test_a_listener_without_traffic_is_there_with_zeros(service: Service, client: Api) -> None:
    load_balancer = client.create_load_balancer(name="quiet")
    listener = client.create_listener(load_balancer["id"])
    where = {"listener_id": listener["id"]}
    eventually(lambda: value(service, "equipoise_listener_connections_total", **where) == 0)
    assert value(service, "equipoise_listener_requests_total", code="5xx", **where) == 0
    client.succeed("DELETE", f"/elbaas/loadbalancers/{load_balancer['id']}")
    eventually(lambda: value(service, "equipoise_listener_connections_total", **where) is None)


def test_jobs_and_the_control_stream_are_counted(service: Service, client: Api) -> None:
    created = {"type": "createELB", "state": "SUCCESS"}
    before = page(service)
    client.create_load_balancer(name="counted")
    after = page(service)
    grown = (value_on(after, "equipoise_jobs_total", **created) or 0) - (
        value_on(before, "equipoise_jobs_total", **created) or 0
    )
    assert grown == 1
    assert value_on(after, "equipoise_job_duration_seconds_count", **created) == value_on(
        after, "equipoise_jobs_total", **created
    )
    stream = {"node": "local"}
    assert value_on(after, "equipoise_control_stream_connected", **stream) == 1
    assert value_on(after, "equipoise_control_stream_behind", **stream) == 0
    assert value_on(after, "equipoise_control_stream_lag_seconds", **stream) == 0
    for name in ("pushes", "acks"):
        assert (value_on(after, f"equipoise_control_stream_{name}_total", kind="listener", **stream) or 0) > 0


def test_every_family_of_the_reference_page_is_shown_by_a_service_that_serves(
    service: Service, client: Api, backends: Backends
) -> None:
    _, listener = serving(client, backends, "HTTP", "all")
    check = {"listener_id": listener["id"], "healthcheck_protocol": "TCP"}
    client.ok("POST", "/elbaas/healthcheck", json=check)
    absent = {families.PACKETS_RECEIVED.name, families.PACKETS_SENT.name} if not packets_are_counted(service) else set()
    wanted = {each.name for each in families.families()} - absent

    def missing() -> set[str]:
        found = page(service)
        shown = {f"{each.name}_total" if each.type == "counter" else each.name for each in found.values()}
        return wanted - shown

    eventually(lambda: missing() == set())
    labels = {each.name: set(each.labels) for each in families.families()}
    for sample in (sample for each in page(service).values() for sample in each.samples):
        name = sample.name if sample.name in labels else sample.name.rpartition("_")[0]
        assert set(sample.labels) - {"le"} == labels[name]


def packets_are_counted(service: Service) -> bool:
    return not any(event["event"] == "packets_not_counted" for event in service.log_events())


def expressions(dashboard: Mapping[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]


def test_every_expression_of_the_dashboard_names_figures_and_labels_that_exist() -> None:
    known = {each.name: set(each.labels) for each in families.families()}
    for each in list(known):
        known |= {f"{each}_{part}": known[each] | {"le"} for part in ("bucket", "sum", "count")}
    seen = 0
    for expression in expressions(json.loads(DASHBOARD.read_text("utf-8"))):
        names = _NAMES.findall(_LABELS.sub("", expression))
        assert names, expression
        assert set(names) <= known.keys(), expression
        labels = set[str]().union(*(known[name] for name in names))
        asked = re.findall(r"(\w+)\s*=~?\"", expression)
        grouped = [name for group in re.findall(r"by \(([^)]*)\)", expression) for name in group.split(", ")]
        assert {*asked, *grouped} <= labels, expression
        seen += 1
    assert seen > 20


def test_envoy_keeps_of_each_listener_what_is_read_and_nothing_else(service: Service, client: Api) -> None:
    layers = {"TCP": ("tcp",), "HTTP": ("http",), "HTTPS": ("http",), "UDP": ("udp", "cluster")}
    certificate = client.ok("POST", "/elbaas/certificate", json=rsa_pair("a.test").body)
    expected = {}
    for protocol, counting in layers.items():
        fields = {"certificate_id": certificate["id"]} if protocol == "HTTPS" else {}
        load_balancer = client.create_load_balancer()
        listener = client.create_listener(load_balancer["id"], protocol=protocol, backend_port=9, **fields)
        check = {"listener_id": listener["id"], "healthcheck_protocol": "UDP" if protocol == "UDP" else "TCP"}
        client.ok("POST", "/elbaas/healthcheck", json=check)
        client.add_members(listener["id"], "127.0.0.1")
        expected[listener["id"]] = {f"{layer}.{name}" for layer in ("listener", *counting) for name in READ[layer]}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM) as one:
            one.connect((load_balancer["vip_address"], 8080))
            one.send(b"x")
    envoy = EnvoyAdmin(service.data_dir / "run" / ADMIN_SOCKET)

    def surprises() -> set[str]:
        found: dict[str, set[str]] = {id: set() for id in expected}
        for line in asyncio.run(envoy.read("/stats")).splitlines():
            for id in expected:
                if id in line:
                    found[id].add(line.partition(": ")[0].replace(f".{id}.", ".", 1))
        return {name for id, names in found.items() for name in names ^ expected[id]}

    with suppress(AssertionError):
        eventually(lambda: not surprises())
    assert surprises() == set()
    assert "uncounted" not in asyncio.run(envoy.read("/stats"))
