"""Ending the service on purpose, and starting it where one runs already."""

import signal
import socket
import subprocess
from pathlib import Path

import pytest

from stand import (
    COMMAND,
    PATIENCE,
    Api,
    Backends,
    Service,
    ask,
    can_connect,
    eventually,
    process_is_there,
    running_service,
)
from stand.postgres import Postgres
from tests.contract.wire import member
from tests.traffic import halt, halted


def processes_below(folder: Path) -> list[int]:
    """The processes that work in the folder or below it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_with_status_0_and_a_second_start_serves_the_same(
    own_service: Service, backends: Backends, number: signal.Signals
) -> None:
    service = own_service
    with Api(service) as api:
        load_balancer = api.create_load_balancer()
        listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
        api.add_members(listener["id"], *backends.addresses)
        before = api.ok("GET", "/elbaas/loadbalancers")
        envoy = service.envoy_pid
        assert processes_below(service.data_dir) == [envoy]

        service.signal(number)
        assert service.wait() == 0
        assert not process_is_there(envoy)
        assert processes_below(service.data_dir) == []
        assert not can_connect(load_balancer["vip_address"], 8080)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", service.port))

        service.start()
        assert api.ok("GET", "/elbaas/loadbalancers") == before
        eventually(lambda: can_connect(load_balancer["vip_address"], 8080))
        assert sorted(ask(load_balancer["vip_address"], 8080, 30)) == sorted(backends.addresses)


def test_a_second_service_on_the_same_data_directory_is_refused_and_says_why(
    own_service: Service, backends: Backends
) -> None:
    with Api(own_service) as api:
        load_balancer = api.create_load_balancer()
        api.create_listener(load_balancer["id"])
        envoy = own_service.envoy_pid
        second = subprocess.run(
            [COMMAND, "up", "--data-dir", own_service.data_dir, "--listen", "127.0.0.1:0"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode != 0
        assert second.stdout == ""
        assert f"Another service uses the data directory {own_service.data_dir}" in second.stderr
        assert "Traceback" not in second.stderr
        # The first one has not noticed anything.
        assert own_service.envoy_pid == envoy
        assert process_is_there(envoy)
        assert can_connect(load_balancer["vip_address"], 8080)
        api.create_listener(load_balancer["id"], port=8081)


def test_jobs_that_are_unfinished_at_a_stop_are_finished_by_the_next_start(
    own_service: Service, backends: Backends
) -> None:
    service = own_service
    with Api(service) as api:
        load_balancer = api.create_load_balancer()
        listener = api.create_listener(load_balancer["id"], backend_port=backends.port)
        path = f"/elbaas/listeners/{listener['id']}/members"
        envoy = service.envoy_pid
        halt(envoy)
        tasks = [api.ok("POST", path, json=[member(number)])["job_id"] for number in range(1, 4)]
        tasks.append(api.ok("PUT", f"/elbaas/loadbalancers/{load_balancer['id']}", json={"name": "n"})["job_id"])
        assert {api.job(task)["end_time"] for task in tasks} == {""}
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert not process_is_there(envoy)
        service.start()
        assert [api.ended(task)["status"] for task in tasks] == ["SUCCESS"] * 4
        assert len(api.ok("GET", path)) == 3


def test_a_stop_while_a_synchronous_operation_waits_does_not_hang(tmp_path: Path) -> None:
    with running_service(tmp_path / "data", "api.sync_wait=0.2") as service, Api(service) as api:
        load_balancer = api.create_load_balancer()
        with halted(service.envoy_pid):
            answer = api.call("POST", "/elbaas/listeners", json=api.listener_body(load_balancer["id"]))
            assert answer.json()["status"] == "PENDING_CREATE"
            service.kill()
        service.start()
        path = f"/elbaas/listeners/{answer.json()['id']}"
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        service.start()
        eventually(lambda: api.ok("GET", path)["status"] == "ACTIVE")
        assert can_connect(load_balancer["vip_address"], 8080)


def test_ready_means_that_what_was_there_before_serves(own_service: Service) -> None:
    with Api(own_service) as api:
        ports = [8080, 8081, 8082]
        load_balancer = api.create_load_balancer()
        for port in ports:
            api.create_listener(load_balancer["id"], port=port)
    own_service.signal(signal.SIGTERM)
    assert own_service.wait() == 0
    own_service.start()
    assert [can_connect(load_balancer["vip_address"], port) for port in ports] == [True, True, True]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_service_that_is_starting(tmp_path: Path, number: signal.Signals) -> None:
    # A database server that takes a connection and then says nothing.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://equipoise@127.0.0.1:{silent.getsockname()[1]}/x"
        options = ["--listen", "127.0.0.1:0", "--set", f"database.url={url}"]
        with subprocess.Popen(
            [COMMAND, "up", "--data-dir", tmp_path / "data", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as up:
            silent.settimeout(PATIENCE)
            connection, _ = silent.accept()
            with connection:
                up.send_signal(number)
                out, log = up.communicate(timeout=PATIENCE)
    assert (up.returncode, out) == (0, b"")
    assert b"stopping" in log
    assert b"Traceback" not in log
    assert processes_below(tmp_path) == []


def test_a_password_on_the_command_line_is_taken_off_it(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.new_database().replace("equipoise@", "equipoise:hunter2@")
    with running_service(tmp_path / "data", f"database.url={url}") as service, Api(service) as api:
        assert api.ok("GET", "/elbaas/loadbalancers")["loadbalancers"] == []
        of_service = Path(f"/proc/{service.pid}/cmdline").read_bytes()
        assert b"addresses.external" in of_service
        assert b"hunter2" not in of_service
        assert not list(service.data_dir.glob("*.db"))
        (warning,) = [event for event in service.log_events() if event["event"] == "password_on_command_line"]
        assert warning["variables"] == ["EQUIPOISE_DATABASE_URL"]
        assert "hunter2" not in service.log()
