"""A client of the API of a running service, with what is asked for most."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import httpx

from equipoise.client import Client, Login
from equipoise.client.calls import listener_fields
from equipoise.client.over_httpx import HttpxTransport
from stand.service import Service
from stand.waiting import PATIENCE


class Api:
    """A client that logs in, by default as the administrator, with what tests ask for most; answers are as they come.

    `client` makes the calls whose success is expected: an error is raised, and a job is waited for. `http` and `call`
    are for tests of the wire, which look at every answer.

    Args:
        known: who logs in where, with the fields of credentials.json.

    Attributes:
        login: the answer to the login.
    """

    def __init__(self, service: Service, known: Mapping[str, str] | None = None) -> None:
        login = Login.of(known or service.credentials())
        self.project_id = login.project_id
        # No TLS is spoken here, and to read all authorities takes longer than most tests.
        self.http = httpx.Client(base_url=service.url, timeout=30, verify=False)
        self.client = Client(HttpxTransport(self.http), login)
        answers: list[httpx.Response] = []
        with ExitStack() as unless_logged_in:
            unless_logged_in.callback(self.http.close)
            self.http.event_hooks = {"response": [answers.append]}
            self.client.log_in()
            unless_logged_in.pop_all()
        self.http.event_hooks = {"response": []}
        [self.login] = answers
        self.token = self.client.token
        self.http.headers["x-auth-token"] = self.token

    @property
    def root(self) -> str:
        """The path of the project; set to act in another one."""
        return self.client.root

    @root.setter
    def root(self, path: str) -> None:
        self.client.root = path

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Whatever is answered; `path` is below the project."""
        return self.http.request(method, self.root + path, **more)

    def ok(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The decoded body of an answer that must be a success."""
        return self.client.call(method, path, json, query=params, headers=headers)

    def job(self, job_id: str) -> dict[str, Any]:
        return self.client.job(job_id).document

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended."""
        return self.client.ended(job_id, PATIENCE).document

    def succeed(self, method: str, path: str, *, json: Any = None) -> dict[str, Any]:
        """Ask for a task and wait for the success of its job."""
        return self.client.task(method, path, json, seconds=PATIENCE).document

    def create_load_balancer(self, **fields: Any) -> dict[str, Any]:
        body = {
            "name": "lb",
            "vpc_id": "f54a3ffd-7a55-4568-9e3c-f0ff2d46a107",
            "type": "External",
            "bandwidth": 100,
            "admin_state_up": 1,
        }
        job = self.client.create_load_balancer(body | fields)
        found: dict[str, Any] = self.ok("GET", f"/elbaas/loadbalancers/{job.entities['elb']['id']}")
        return found

    def listener_body(self, load_balancer_id: str, **fields: Any) -> dict[str, Any]:
        default: dict[str, Any] = {"protocol": "HTTP", "port": 8080, "backend_port": 9000}
        return listener_fields(load_balancer_id, **default | fields)

    def create_listener(self, load_balancer_id: str, **fields: Any) -> dict[str, Any]:
        body = self.listener_body(load_balancer_id, **fields)
        found: dict[str, Any] = self.ok("POST", "/elbaas/listeners", json=body)
        return found

    def add_members(self, listener_id: str, *addresses: str) -> list[str]:
        job = self.client.add_members(listener_id, addresses)
        return [member["id"] for member in job.entities["members"]]

    def remove_members(self, listener_id: str, *ids: str) -> None:
        self.client.remove_members(listener_id, ids)
