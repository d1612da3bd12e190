"""Every status of the contract (return-values.md), each for its real condition, with the body and headers that it has.

200, 204 and most of 400 to 409 are everywhere in the other tests of this folder; here each is provoked once more, so
that the list is whole.
"""

import json
import os
import signal
import socket
import sqlite3
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest

from stand import PATIENCE, Api, Service, eventually, running_service
from tests.contract.catalogue_cases import CHECKS, EXTERNAL, INTERNAL, LB, LISTENERS, NOBODY, held, stopped
from tests.contract.odd_identity import OddIdentity, odd_identity
from tests.contract.wire import refusal
from tests.people import add_project, add_user

SECRET = "correct-horse-battery"
PHRASES = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    409: "Conflict",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that is soon busy, waits for no slow sender, and whose database the tests lay hands on."""
    marks = ("jobs.busy_mark=1", "jobs.hard_mark=3", "http.request_time_limit=0.5")
    with running_service(tmp_path_factory.mktemp("worn") / "data", *marks) as service:
        yield service


@pytest.fixture
def worn_api(worn: Service) -> Iterator[Api]:
    with Api(worn) as client:
        yield client


@pytest.fixture(scope="module")
def odd() -> Iterator[OddIdentity]:
    with odd_identity() as identity:
        yield identity


@pytest.fixture(scope="module")
def guarded(odd: OddIdentity, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service behind a gateway, with an identity service that misbehaves."""
    identity = (f"identity.keystone_url={odd.url}", "identity.keystone_timeout=5")
    gateway = ("env", f"EQUIPOISE_HTTP_GATEWAY_SECRET={SECRET}")
    with running_service(tmp_path_factory.mktemp("guarded") / "data", *identity, through=gateway) as service:
        yield service


def through_gateway(password: str) -> dict[str, str]:
    return {"proxy-authorization": "Basic " + b64encode(f"gateway:{password}".encode()).decode()}


@pytest.fixture
def gateway(guarded: Service) -> Iterator[httpx.Client]:
    headers = through_gateway(SECRET) | {"x-auth-token": "any"}
    with httpx.Client(base_url=guarded.url, headers=headers, timeout=30) as client:
        yield client


def phrase(answer: httpx.Response) -> int:
    """The status of an error whose code is the phrase of its status."""
    status, code = refusal(answer)
    assert code == PHRASES[status]
    return status


def database(service: Service) -> sqlite3.Connection:
    return sqlite3.connect(service.data_dir / "equipoise.db", isolation_level=None)


def test_reads_and_tasks_are_200_and_deletes_that_end_at_once_204(api: Api) -> None:
    load_balancer = api.create_load_balancer()
    listener = api.create_listener(load_balancer["id"])
    assert api.call("GET", LB).status_code == 200
    deleted = api.call("DELETE", f"{LISTENERS}/{listener['id']}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    task = api.call("DELETE", f"{LB}/{load_balancer['id']}")
    assert (task.status_code, sorted(task.json())) == (200, ["job_id", "uri"])


@pytest.mark.parametrize(
    ("expected", "ask"),
    [
        (400, lambda api: api.call("POST", LB, content=b"{")),
        (401, lambda api: api.call("GET", LB, headers={"x-auth-token": ""})),
        (404, lambda api: api.http.get("/nowhere")),
        (405, lambda api: api.call("PATCH", LB)),
        (406, lambda api: api.call("GET", LB, headers={"accept": "image/png"})),
        (501, lambda api: api.call("POST", LB, json=EXTERNAL | {"charge_mode": "prepaid"})),
    ],
)
def test_what_a_request_alone_is_refused_for(api: Api, expected: int, ask: Callable[[Api], httpx.Response]) -> None:
    answer = ask(api)
    assert refusal(answer)[0] == expected
    assert expected == 400 or phrase(answer) == expected
    if expected == 401:
        assert answer.headers["www-authenticate"] == f'Keystone uri="{api.http.base_url.join("/v3")}"'
    if expected == 405:
        assert answer.headers["allow"] == "GET, HEAD, POST"


def test_another_project_is_403(api: Api, shared_service: Service) -> None:
    with Api(shared_service, add_user(shared_service, add_project(shared_service))) as stranger:
        assert phrase(stranger.http.get(f"{api.root}{LB}")) == 403


def test_a_second_health_check_is_409(api: Api) -> None:
    load_balancer = api.create_load_balancer(**INTERNAL)
    listener = api.create_listener(load_balancer["id"])
    api.ok("POST", CHECKS, json={"listener_id": listener["id"]})
    assert phrase(api.call("POST", CHECKS, json={"listener_id": listener["id"]})) == 409
    api.succeed("DELETE", f"{LB}/{load_balancer['id']}")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        through_gateway("wrong-horse-battery"),
        through_gateway(""),
        {"proxy-authorization": f"Bearer {SECRET}"},
        {"proxy-authorization": "Basic !"},
        {"proxy-authorization": "Basic"},
    ],
)
def test_who_did_not_come_through_the_gateway_is_407(guarded: Service, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{guarded.url}/v1.0/p{LB}", headers=headers)
    assert phrase(answer) == 407
    assert answer.headers["proxy-authenticate"] == 'Basic realm="gateway"'
    assert httpx.post(f"{guarded.url}/v3/auth/tokens", headers=headers, json={}).status_code == 407


def test_supervisors_need_no_gateway_and_no_secret_is_in_the_log(guarded: Service, gateway: httpx.Client) -> None:
    assert httpx.get(f"{guarded.url}/healthz").json() == {"status": "ok"}
    assert gateway.get("/openapi.json").status_code == 200
    assert SECRET not in guarded.log()


@pytest.mark.parametrize(
    "head", [b"GET / HTT", b"POST /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"]
)
def test_a_slow_sender_is_408_and_the_connection_is_closed(worn: Service, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", worn.port), timeout=20) as connection:
        connection.sendall(head)
        answer = _read_to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert body["code"] == PHRASES[408]
    assert body["request_id"].encode() in answer.partition(b"\r\n\r\n")[0]


def test_a_defect_is_500_with_an_id_that_the_log_has_and_no_trace(worn: Service, worn_api: Api) -> None:
    made = worn_api.create_load_balancer()
    with closing(database(worn)) as connection:
        connection.execute("UPDATE load_balancers SET status = 'NONSENSE' WHERE id = ?", [made["id"]])
    answer = worn_api.call("GET", f"{LB}/{made['id']}")
    assert phrase(answer) == 500
    assert "Traceback" not in answer.text
    assert "NONSENSE" not in answer.text
    id = answer.json()["request_id"]
    [logged] = [event for event in worn.log_events() if event["event"] == "defect" and event["request_id"] == id]
    assert "NONSENSE" in logged["exception"]
    with closing(database(worn)) as connection:
        connection.execute("UPDATE load_balancers SET status = 'ACTIVE' WHERE id = ?", [made["id"]])
    assert worn_api.ok("GET", f"{LB}/{made['id']}")["status"] == "ACTIVE"


def test_a_locked_database_is_503_and_readers_do_not_wait(worn: Service, worn_api: Api) -> None:
    with closing(database(worn)) as connection, ThreadPoolExecutor() as pool:
        connection.execute("BEGIN IMMEDIATE")
        with Api(worn) as writer:
            waiting = pool.submit(writer.call, "POST", LB, json=EXTERNAL | {"name": "never"})
            for _ in range(20):
                assert worn_api.ok("GET", f"{LB}?name=never")["loadbalancers"] == []
            assert not waiting.done()
            answer = waiting.result()
        connection.execute("ROLLBACK")
    assert phrase(answer) == 503
    assert int(answer.headers["retry-after"]) > 0
    worn_api.create_load_balancer(name="again")


def test_a_backlog_makes_202_and_past_the_hard_mark_503_and_nothing_is_stored(worn: Service, worn_api: Api) -> None:
    listener = worn_api.create_listener(worn_api.create_load_balancer()["id"])
    members = f"{LISTENERS}/{listener['id']}/members"

    def add(last: int) -> httpx.Response:
        return worn_api.call("POST", members, json=[{"server_id": "s", "address": f"127.9.9.{last}"}])

    with stopped(worn):
        accepted = [add(last) for last in (1, 2, 3)]
        assert [answer.status_code for answer in accepted] == [200, 202, 202]
        assert all(answer.json().keys() == {"uri", "job_id"} for answer in accepted)
        refused = add(4)
        assert phrase(refused) == 503
        assert int(refused.headers["retry-after"]) > 0
        assert worn_api.job(accepted[2].json()["job_id"])["status"] in {"INIT", "RUNNING"}
    assert {worn_api.ended(answer.json()["job_id"])["status"] for answer in accepted} == {"SUCCESS"}
    assert len(worn_api.ok("GET", members)) == 3


def test_a_port_that_another_program_holds_fails_the_job_that_needs_it(api: Api) -> None:
    load_balancer = api.create_load_balancer()
    api.create_listener(load_balancer["id"], port=7070)
    path = f"{LB}/{load_balancer['id']}"
    api.succeed("PUT", path, json={"admin_state_up": 0})
    with held(load_balancer["vip_address"], 7070):
        job = api.ended(api.ok("PUT", path, json={"admin_state_up": 1})["job_id"])
    assert (job["status"], job["error_code"]) == ("FAIL", "ELB.9007")
    assert api.ok("GET", path)["admin_state_up"] == 0
    api.succeed("DELETE", path)


def test_an_identity_service_that_answers_nonsense_is_502(odd: OddIdentity, gateway: httpx.Client) -> None:
    odd.mood = "nonsense"
    assert refusal(gateway.get(f"/v1.0/p{LB}")) == (502, "ELB.0004")
    odd.mood = "rude"
    assert refusal(gateway.get(f"/v1.0/p{LB}")) == (502, "ELB.0004")
    odd.mood = "tokenless"
    assert refusal(gateway.post("/v3/auth/tokens", json={})) == (502, "ELB.1201")


def test_an_identity_service_that_is_silent_is_504_and_holds_nobody_else_up(
    odd: OddIdentity, guarded: Service, gateway: httpx.Client
) -> None:
    odd.mood = "silent"
    before = odd.connections
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(gateway.get, f"/v1.0/p{LB}")
        eventually(lambda: odd.connections > before)
        assert httpx.get(f"{guarded.url}/healthz").status_code == 200
        assert not waiting.done()
        assert phrase(waiting.result()) == 504
    assert phrase(gateway.post("/v3/auth/tokens", json={})) == 504


def test_an_identity_service_that_is_not_there_is_502(gateway: httpx.Client, odd: OddIdentity) -> None:
    odd.close()
    assert refusal(gateway.get(f"/v1.0/p{LB}")) == (502, "ELB.1201")
    assert refusal(gateway.post("/v3/auth/tokens", json={})) == (502, "ELB.1201")
    assert refusal(gateway.get("/v3")) == (502, "ELB.1201")


def test_a_request_that_is_under_way_when_the_service_stops_is_503(own_service: Service) -> None:
    with socket.create_connection(("127.0.0.1", own_service.port), timeout=20) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        # The next answer shows that the service has read what came before.
        assert httpx.get(f"{own_service.url}/healthz").status_code == 200
        own_service.signal(signal.SIGTERM)
        answer = _read_to_the_end(connection)
    assert own_service.wait() == 0
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nretry-after: " in answer.lower()


def test_a_service_that_is_starting_is_503(own_service: Service) -> None:
    own_service.kill()
    envoy = own_service.envoy_pid
    os.kill(envoy, signal.SIGSTOP)
    starting = threading.Thread(target=own_service.start)
    starting.start()
    try:
        answer = eventually(lambda: _asked(own_service.url + LB))
    finally:
        os.kill(envoy, signal.SIGCONT)
        starting.join()
    assert phrase(answer) == 503
    assert answer.headers["retry-after"] == "1"
    assert httpx.get(f"{own_service.url}/v1.0/{NOBODY}{LB}").status_code == 401


def _asked(url: str) -> Any:
    try:
        return httpx.get(url, timeout=PATIENCE)
    except httpx.ConnectError:
        return None


def _read_to_the_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))
