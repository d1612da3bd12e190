"""The client of the package: both of its ways and all of its transports make the same calls with the same results."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from equipoise.client import (
    ApiError,
    AsyncClient,
    Client,
    ClientError,
    JobFailed,
    JobUnfinished,
    LeanTransport,
    Login,
    NoAnswer,
)
from equipoise.client import calls as client_calls
from equipoise.client.over_httpx import AsyncHttpxTransport, HttpxTransport
from equipoise.client.steps import Steps
from stand import Service
from tests.contract.wire import NO_SUCH_ID
from tests.traffic import halted

T = TypeVar("T")

ADDRESSES = 2

EXTERNAL = {"name": "mine", "vpc_id": "v", "type": "External", "bandwidth": 10, "admin_state_up": 1}
INTERNAL = {
    "name": "inside",
    "vpc_id": "v",
    "type": "Internal",
    "vip_subnet_id": "s",
    "security_group_id": "g",
    "admin_state_up": 1,
}


class Awaited(Client):
    """An AsyncClient whose calls are awaited here, so that one test tries both."""

    def __init__(self, service: Service, login: Login) -> None:
        self._runner = asyncio.Runner()
        super().__init__(LeanTransport(service.url), login)
        self._awaited = AsyncClient(AsyncHttpxTransport(httpx.AsyncClient(base_url=service.url, timeout=30)), login)

    def run(self, steps: Steps[T]) -> T:
        return self._runner.run(self._awaited.run(steps))

    def close(self) -> None:
        self._runner.run(self._awaited.close())
        self._runner.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two addresses for External load balancers."""
    service = Service(tmp_path_factory.mktemp("small") / "data")
    service.settings[0] = service.settings[0].replace(".0/24", ".0/30")
    try:
        yield service.start()
    finally:
        service.stop()


@pytest.fixture(params=["lean", "httpx", "asyncio"])
def client(request: pytest.FixtureRequest, small: Service) -> Iterator[Client]:
    login = Login.load(small.data_dir / "credentials.json")
    made: dict[str, Callable[[], Client]] = {
        "lean": lambda: Client(LeanTransport(small.url), login),
        "httpx": lambda: Client(HttpxTransport(httpx.Client(base_url=small.url, timeout=30, verify=False)), login),
        "asyncio": lambda: Awaited(small, login),
    }
    with made[request.param]() as client:
        client.log_in()
        yield client


def test_a_load_balancer_from_its_creation_to_its_deletion(client: Client) -> None:
    client.look()
    job = client.create_load_balancer(INTERNAL)
    assert (job.status, job.ended, job.type) == ("SUCCESS", True, "createELB")
    assert (job.error_code, job.fail_reason) == (None, None)
    assert client.job(job.id) == job
    assert client.call("GET", f"/jobs/{job.id}") == job.document
    id = job.entities["elb"]["id"]
    listener = client.create_listener(id, protocol="TCP", port=8080, backend_port=9000, lb_algorithm="leastconn")
    assert (listener["status"], listener["lb_algorithm"]) == ("ACTIVE", "leastconn")
    added = client.add_members(listener["id"], ["127.9.0.1", "127.9.0.2"])
    members = {member["address"]: member["id"] for member in added.entities["members"]}
    client.remove_members(listener["id"], [members["127.9.0.1"]])
    left = client.call("GET", f"/elbaas/listeners/{listener['id']}/members", query={"limit": 5})
    assert [member["id"] for member in left] == [members["127.9.0.2"]]
    client.remove_members(listener["id"], [members["127.9.0.2"]])
    assert client.call("DELETE", f"/elbaas/listeners/{listener['id']}") is None
    assert client.delete_load_balancer(id).status == "SUCCESS"


def test_an_error_says_status_code_and_detail(client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        client.call("GET", f"/elbaas/loadbalancers/{NO_SUCH_ID}", headers={"X-Request-Id": "asked-by-me"})
    error = caught.value
    assert (error.method, error.status, error.request_id) == ("GET", 404, "asked-by-me")
    assert error.code.startswith("ELB.")
    assert error.message
    assert NO_SUCH_ID in error.path
    assert str(error).startswith(f"GET {error.path} was answered with 404: {error.code} ")
    assert isinstance(error, ClientError)


def test_a_write_under_one_key_is_one_write(client: Client) -> None:
    key = {"Idempotency-Key": f"key-{type(client).__name__}-{client.token[-8:]}"}
    first, second = (client.task("POST", "/elbaas/loadbalancers", INTERNAL, headers=key) for _ in range(2))
    assert first == second
    client.delete_load_balancer(first.entities["elb"]["id"])


def test_a_job_that_fails_is_an_error_with_the_job(client: Client) -> None:
    there = [client.create_load_balancer(EXTERNAL) for _ in range(ADDRESSES)]
    with pytest.raises(JobFailed, match=r"createELB\) failed with ELB\.4001: .") as caught:
        client.create_load_balancer(EXTERNAL)
    assert (caught.value.job.status, caught.value.job.error_code) == ("FAIL", "ELB.4001")
    for job in there:
        client.delete_load_balancer(job.entities["elb"]["id"])


def test_a_job_that_takes_too_long_is_an_error_and_goes_on(
    client: Client, small: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several requests for one wait, each of which the service holds.
    monkeypatch.setattr(client_calls, "LONGEST_HOLD", 0.05)
    id = client.create_load_balancer(INTERNAL).entities["elb"]["id"]
    listener = client.create_listener(id, protocol="HTTP", port=8080, backend_port=9000)["id"]
    members = f"/elbaas/listeners/{listener}/members"
    with halted(small.envoy_pid):
        with pytest.raises(JobUnfinished, match=r"was still (INIT|RUNNING) after 0\.2 s") as caught:
            client.task("POST", members, [{"server_id": "s", "address": "127.9.0.1"}], seconds=0.2)
        assert not caught.value.job.ended
    job = client.ended(caught.value.job.id)
    assert job.status == "SUCCESS"
    client.remove_members(listener, [job.entities["members"][0]["id"]])
    client.call("DELETE", f"/elbaas/listeners/{listener}")
    client.delete_load_balancer(id)


def test_a_service_that_is_gone_gives_no_answer_and_a_later_one_does(client: Client, small: Service) -> None:
    before = client.call("GET", "/elbaas/loadbalancers")
    small.kill()
    for _ in range(2):
        with pytest.raises(NoAnswer, match=r"The service did not answer GET /healthz: ."):
            client.look()
    small.start()
    client.look()
    assert client.call("GET", "/elbaas/loadbalancers") == before


def test_the_example_of_the_documentation_runs(small: Service) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "python-client.md").read_text("utf-8")
    example = page.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    here = {"data/credentials.json": f"{small.data_dir}/credentials.json", "http://127.0.0.1:8080": small.url}
    for name, real in here.items():
        assert name in example
        example = example.replace(name, real)
    exec(example, names)
    assert (names["job"].status, names["listener"]["status"]) == ("SUCCESS", "ACTIVE")


@pytest.mark.parametrize("url", ["https://127.0.0.1:8080", "127.0.0.1:8080", "http://"])
def test_the_lean_transport_names_the_urls_that_it_takes(url: str) -> None:
    with pytest.raises(ValueError, match=r"needs http://HOST:PORT"):
        LeanTransport(url)


def test_a_login_does_not_show_its_password() -> None:
    login = Login("me", "a secret", "Default", "p", "0")
    assert "secret" not in repr(login)
    assert login.body["auth"]["identity"]["password"]["user"]["password"] == "a secret"
