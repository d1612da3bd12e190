"""Access logs: off by default, switched on for single listeners, with the addresses that clients really have."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from stand import Api, Backends, Service, eventually, running_service, whole_lines
from tests.udp import Echoes, running_echoes

CLIENT = "127.9.8.7"
SECRET = "a-secret-in-a-query"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path / "data") as one:
        yield one


@pytest.fixture
def echoes() -> Iterator[Echoes]:
    with running_echoes(1) as one:
        yield one


def log_file(service: Service) -> Path:
    return service.data_dir / "log" / "access.json"


def entries(service: Service) -> list[dict[str, Any]]:
    file = log_file(service)
    return [json.loads(line) for line in whole_lines(file.read_text())] if file.exists() else []


def restart(service: Service, listeners: str) -> None:
    """Begin again with other settings; Envoy and its traffic go on."""
    service.kill()
    service.settings = [each for each in service.settings if not each.startswith("access_log.")]
    service.settings.append(f"access_log.listeners={listeners}")
    service.start()


def connect(load_balancer: dict[str, Any], port: int = 8080) -> socket.socket:
    return socket.create_connection((load_balancer["vip_address"], port), timeout=20, source_address=(CLIENT, 0))


def request(connection: socket.socket, path: str = "/", *headers: str) -> tuple[str, int]:
    """Ask over HTTP; returns the address that the client has on this connection."""
    head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: shop.example.com", *headers])
    connection.sendall(f"{head}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n127." not in answer:
        data = connection.recv(65536)
        assert data, "the connection was cut"
        answer += data
    address: tuple[str, int] = connection.getsockname()
    return address


def test_requests_of_a_listener_that_is_named_are_logged_and_no_others(service: Service, backends: Backends) -> None:
    with Api(service) as api:
        load_balancer = api.create_load_balancer()
        named, other = (
            api.create_listener(load_balancer["id"], port=port, backend_port=backends.port) for port in (8080, 8081)
        )
        for each in (named, other):
            api.add_members(each["id"], backends.addresses[0])
    with connect(load_balancer) as before:
        request(before, "/not-logged")
    envoy = service.envoy_pid
    restart(service, named["id"])
    assert service.envoy_pid == envoy

    with connect(load_balancer) as connection, connect(load_balancer, 8081) as of_other:
        place = request(connection, f"/basket?token={SECRET}", "X-Forwarded-For: 203.0.113.9", 'User-Agent: a "b" \\c')
        request(of_other, "/not-logged")
    # What is not logged was asked for before the next request, that is.
    with connect(load_balancer) as later:
        request(later, "/later")
    first, second = eventually(lambda: found if len(found := entries(service)) >= 2 else [])
    assert (first["client_address"], first["client_port"]) == (CLIENT, place[1])
    assert first["forwarded_for"].replace(" ", "") == f"203.0.113.9,{CLIENT}"
    assert (first["listener_address"], first["listener_port"]) == (load_balancer["vip_address"], 8080)
    assert (first["load_balancer_id"], first["listener_id"]) == (load_balancer["id"], named["id"])
    assert (first["method"], first["path"], first["host"]) == ("GET", "/basket", "shop.example.com")
    assert (first["protocol"], first["http_version"], first["status"]) == ("HTTP", "HTTP/1.1", 200)
    assert first["member"] == f"{backends.addresses[0]}:{backends.port}"
    assert first["user_agent"] == 'a "b" \\c'
    assert first["duration_ms"] >= 0
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert (second["path"], second["forwarded_for"]) == ("/later", CLIENT)
    assert SECRET not in log_file(service).read_text()


def test_the_log_of_a_tcp_listener_is_switched_without_cutting_a_connection(
    service: Service, backends: Backends
) -> None:
    with Api(service) as api:
        load_balancer = api.create_load_balancer()
        listener = api.create_listener(load_balancer["id"], protocol="TCP", backend_port=backends.port)
        api.add_members(listener["id"], backends.addresses[0])
    with connect(load_balancer) as old:
        request(old)
        restart(service, "*")
        request(old)
        with connect(load_balancer) as new:
            place = request(new)
        (found,) = eventually(lambda: entries(service))
        request(old)
    assert (found["client_address"], found["client_port"]) == (CLIENT, place[1])
    assert (found["protocol"], found["listener_id"]) == ("TCP", listener["id"])
    assert found["bytes_received"] > 0
    assert found["bytes_sent"] > 0
    assert found["member"] == f"{backends.addresses[0]}:{backends.port}"


def test_a_session_of_udp_is_logged_when_it_ends(service: Service, echoes: Echoes) -> None:
    restart(service, "*")
    with Api(service) as api, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        load_balancer = api.create_load_balancer()
        listener = api.create_listener(load_balancer["id"], protocol="UDP", backend_port=echoes.port)
        (member,) = api.add_members(listener["id"], *echoes.addresses)
        client.bind((CLIENT, 0))
        client.settimeout(20)
        for _ in range(3):
            client.sendto(b"12345", (load_balancer["vip_address"], 8080))
            assert client.recv(100)
        place = client.getsockname()
        api.remove_members(listener["id"], member)
        (found,) = eventually(lambda: entries(service))
    assert (found["client_address"], found["client_port"]) == place
    assert (found["protocol"], found["listener_id"]) == ("UDP", listener["id"])
    assert (found["datagrams_received"], found["bytes_received"]) == (3, 15)
    assert found["datagrams_sent"] == 3


def test_a_file_that_was_put_aside_is_begun_anew_on_request(service: Service, backends: Backends) -> None:
    restart(service, "*")
    with Api(service) as api:
        load_balancer = api.create_load_balancer()
        listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
        api.add_members(listener["id"], backends.addresses[0])
    with connect(load_balancer) as connection:
        request(connection, "/before")
        eventually(lambda: entries(service))
        aside = log_file(service).rename(log_file(service).with_suffix(".json.1"))
        os.kill(service.envoy_pid, signal.SIGUSR1)
        eventually(log_file(service).exists)
        request(connection, "/after")
        eventually(lambda: [each["path"] for each in entries(service)] == ["/after"])
    assert [json.loads(line)["path"] for line in aside.read_text().splitlines()] == ["/before"]


def test_nothing_is_logged_by_default(service: Service, backends: Backends) -> None:
    with Api(service) as api:
        load_balancer = api.create_load_balancer()
        listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
        api.add_members(listener["id"], backends.addresses[0])
    with connect(load_balancer) as connection:
        request(connection)
    assert not log_file(service).exists()
