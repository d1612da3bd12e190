"""The bandwidth of an External load balancer, measured on its traffic; and what is said where it is not limited."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from equipoise.data_directory import DataDirectory
from equipoise.node.bandwidth import BandwidthEnforcer
from stand import Api, Service, can_connect, eventually, process_is_there, running_service
from tests.streams import (
    DOWN,
    UP,
    Client,
    DatagramBackend,
    DatagramClient,
    StreamBackend,
    assert_rates,
    client,
    stream_backend,
)

WITHOUT_RIGHTS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")


@pytest.fixture
def backend() -> Iterator[StreamBackend]:
    with stream_backend() as running:
        yield running


@pytest.fixture
def streams() -> Iterator[Client]:
    with client() as opened:
        yield opened


def balanced(api: Api, backend: StreamBackend, bandwidth: int, *ports: int, **fields: Any) -> dict[str, Any]:
    """A load balancer that leads to the backend on each of the ports."""
    load_balancer = api.create_load_balancer(bandwidth=bandwidth)
    for port in ports:
        listener = api.create_listener(load_balancer["id"], port=port, backend_port=backend.port, **fields)
        api.add_members(listener["id"], backend.address)
    return load_balancer


def rules_of(service: Service) -> str:
    """The rules that limit the traffic of one service, as they are in the kernel; empty when there is no table."""
    command = ["nft", "list", "table", "ip", table_of(service)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def limited_by(service: Service) -> set[str]:
    """The addresses in those rules."""
    return set(re.findall(r"\d+\.\d+\.\d+\.\d+", rules_of(service)))


def table_of(service: Service) -> str:
    return BandwidthEnforcer(DataDirectory(service.data_dir).instance).table


def test_two_http_listeners_share_one_limit_in_each_direction(
    api: Api, backend: StreamBackend, streams: Client
) -> None:
    address = balanced(api, backend, 10, 8080, 8081)["vip_address"]
    for port in (8080, 8081):
        streams.open(address, port, DOWN, http=True)
        streams.open(address, port, UP, http=True)
    assert_rates(10, streams.received, backend.swallowed)


def test_tcp_is_limited_both_ways_and_a_new_bandwidth_holds_for_connections_that_are_open(
    api: Api, backend: StreamBackend, streams: Client
) -> None:
    load_balancer = balanced(api, backend, 50, 9000, protocol="TCP")
    streams.open(load_balancer["vip_address"], 9000, DOWN)
    streams.open(load_balancer["vip_address"], 9000, UP)
    assert_rates(50, streams.received, backend.swallowed)

    job = api.succeed("PUT", f"/elbaas/loadbalancers/{load_balancer['id']}", json={"bandwidth": 20})
    assert "warnings" not in job
    assert_rates(20, streams.received, backend.swallowed)
    assert streams.broken == 0


def test_udp_is_limited_both_ways(api: Api) -> None:
    member = DatagramBackend()
    load_balancer = api.create_load_balancer(bandwidth=10)
    listener = api.create_listener(load_balancer["id"], protocol="UDP", port=9004, backend_port=member.port)
    api.add_members(listener["id"], member.address)
    peer = DatagramClient(load_balancer["vip_address"], 9004)
    try:
        # 40 Mbit/s are sent, and what arrives is answered twice over.
        assert_rates(10, member.arrived, peer.received)
    finally:
        peer.close()
        member.close()


def test_a_limit_outlives_the_service_and_envoy_and_ends_with_the_orderly_end(
    tmp_path: Path, backend: StreamBackend
) -> None:
    with running_service(tmp_path / "data") as service:
        table = table_of(service)
        with Api(service) as api:
            address = balanced(api, backend, 10, 9000, protocol="TCP")["vip_address"]
        with client() as streams:
            streams.open(address, 9000, DOWN)
            service.kill()
            assert_rates(10, streams.received)
            assert streams.broken == 0
            # Not whoever is in its place by then: the standby starts another one.
            envoy = service.envoy_pid
            os.kill(envoy, signal.SIGKILL)
            eventually(lambda: not process_is_there(envoy))
        service.start()
        assert table_of(service) == table
        eventually(lambda: can_connect(address, 9000))
        with client() as streams:
            streams.open(address, 9000, DOWN)
            assert_rates(10, streams.received)
        assert address in limited_by(service)
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert not rules_of(service)


def test_a_test_that_kills_its_service_leaves_no_rules_behind(tmp_path: Path) -> None:
    with running_service(tmp_path / "data") as service:
        name = table_of(service)
        service.kill()
        assert f"table ip {name}\n" in tables()
    assert name not in tables()


def tables() -> str:
    return subprocess.run(["nft", "list", "tables", "ip"], capture_output=True, text=True, check=True).stdout


def test_a_service_beside_another_leaves_its_limits_alone(
    api: Api, shared_service: Service, backend: StreamBackend, tmp_path: Path
) -> None:
    address = balanced(api, backend, 10, 9001, protocol="TCP")["vip_address"]
    with running_service(tmp_path / "data") as other:
        assert rules_of(other)
        assert address in limited_by(shared_service)
    assert not rules_of(other)
    assert address in limited_by(shared_service)


def test_what_is_stopped_or_deleted_leaves_no_rule(api: Api, shared_service: Service, backend: StreamBackend) -> None:
    load_balancer = balanced(api, backend, 10, 9002, protocol="TCP")
    url, address = f"/elbaas/loadbalancers/{load_balancer['id']}", load_balancer["vip_address"]
    assert address in limited_by(shared_service)
    api.succeed("PUT", url, json={"admin_state_up": 0})
    assert address not in limited_by(shared_service)
    api.succeed("PUT", url, json={"admin_state_up": 1})
    assert address in limited_by(shared_service)
    (listener,) = api.ok("GET", f"/elbaas/listeners?loadbalancer_id={load_balancer['id']}")
    (member,) = api.ok("GET", f"/elbaas/listeners/{listener['id']}/members")
    api.remove_members(listener["id"], member["id"])
    api.succeed("DELETE", url)
    assert address not in limited_by(shared_service)


def test_an_internal_load_balancer_has_no_limit(api: Api, shared_service: Service) -> None:
    internal = {"type": "Internal", "vip_subnet_id": "s", "security_group_id": "g", "tenantId": api.project_id}
    load_balancer = api.create_load_balancer(**internal)
    api.create_listener(load_balancer["id"], port=9003, protocol="TCP")
    assert load_balancer["vip_address"] not in limited_by(shared_service)


@pytest.mark.parametrize(
    ("settings", "through", "reason"),
    [
        ((), WITHOUT_RIGHTS, "CAP_NET_ADMIN"),
        (("bandwidth.enforcement=off",), (), "switched off"),
    ],
)
def test_where_bandwidth_is_not_limited_the_service_serves_and_says_so(
    tmp_path: Path, backend: StreamBackend, settings: tuple[str, ...], through: tuple[str, ...], reason: str
) -> None:
    with running_service(tmp_path / "data", *settings, through=through) as service, Api(service) as api:
        (said,) = [event for event in service.log_events() if event["event"] == "bandwidth_not_limited"]
        assert said["level"] == "warning"
        assert reason in said["reason"]

        load_balancer = balanced(api, backend, 10, 9000, protocol="TCP")
        created = api.ended(
            api.ok(
                "POST",
                "/elbaas/loadbalancers",
                json={"name": "a", "vpc_id": "v", "type": "External", "bandwidth": 5, "admin_state_up": 1},
            )["job_id"]
        )
        updated = api.succeed("PUT", f"/elbaas/loadbalancers/{load_balancer['id']}", json={"bandwidth": 20})
        for job in (created, updated):
            assert job["status"] == "SUCCESS"
            (warning,) = job["warnings"]
            assert warning["code"] == "ELB.5005"
            assert reason in warning["message"]
        with client() as streams:
            streams.open(load_balancer["vip_address"], 9000, DOWN)
            # Far more than the limit would let through in this time: it is really not there.
            eventually(lambda: streams.received.bytes > 200_000_000)
        assert not rules_of(service)
