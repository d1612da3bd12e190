"""Every call that clients make, described once."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from equipoise.client.errors import ApiError, JobFailed, JobUnfinished
from equipoise.client.login import Login
from equipoise.client.records import JobRecord
from equipoise.client.steps import Call, Steps
from equipoise.client.transport import ApiRequest, ApiResponse

JOB_SECONDS: Final = 60.0
"""How long a call waits for a job if it is not told otherwise."""

LONGEST_HOLD: Final = 20.0
"""Seconds for which one request asks the service to hold the answer; a longer wait is several of these."""


class Calls:
    """The calls of a client, for one project. Paths are below the project: `/elbaas/loadbalancers`.

    Every call raises NoAnswer if no answer came, and ApiError if the answer is an error.

    Attributes:
        root: the path of the project.
        token: what the service gave for the credentials; empty before `log_in`.
    """

    def __init__(self, login: Login) -> None:
        self.login = login
        self.root = f"/v1.0/{login.project_id}"
        self.token = ""

    @Call
    def log_in(self) -> Steps[None]:
        """Get a token with user name and password, for the project of the credentials."""
        answer = yield from _sent(self, "POST", "/v3/auth/tokens", self.login.body)
        self.token = answer.headers["x-subject-token"]

    @Call
    def look(self) -> Steps[None]:
        """See that the service is there (`GET /healthz`)."""
        yield from _sent(self, "GET", "/healthz")

    @Call
    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Steps[Any]:
        """Make any request; returns the decoded body of the answer, None for an empty one."""
        return (yield from _called(self, method, path, body, query, headers))

    @Call
    def task(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = JOB_SECONDS,
    ) -> Steps[JobRecord]:
        """Ask for a task and wait for the success of its job. Raises JobFailed, JobUnfinished."""
        return (yield from _done(self, method, path, body, headers, seconds))

    @Call
    def job(self, id: str) -> Steps[JobRecord]:
        """A job as it stands now."""
        return JobRecord.of((yield from _called(self, "GET", f"/jobs/{id}")))

    @Call
    def ended(self, job_id: str, seconds: float = JOB_SECONDS) -> Steps[JobRecord]:
        """Wait for the end of a job, SUCCESS or FAIL. Raises JobUnfinished."""
        return (yield from _ended(self, job_id, seconds))

    @Call
    def create_load_balancer(self, body: Mapping[str, Any]) -> Steps[JobRecord]:
        """Create a load balancer; the job's entity `elb` has its `id` and `vip_address`. Raises like `task`."""
        return (yield from _done(self, "POST", "/elbaas/loadbalancers", body))

    @Call
    def delete_load_balancer(self, id: str) -> Steps[JobRecord]:
        """Delete a load balancer that has no listeners with members. Raises like `task`."""
        return (yield from _done(self, "DELETE", f"/elbaas/loadbalancers/{id}"))

    @Call
    def create_listener(
        self, /, load_balancer_id: str, *, protocol: str, port: int, backend_port: int, **more: Any
    ) -> Steps[dict[str, Any]]:
        """Create a listener; returns it. What else it may have is in `more`, as `listener_fields` takes it."""
        body = listener_fields(load_balancer_id, protocol=protocol, port=port, backend_port=backend_port, **more)
        found: dict[str, Any] = yield from _called(self, "POST", "/elbaas/listeners", body)
        return found

    @Call
    def add_members(self, listener_id: str, addresses: Iterable[str]) -> Steps[JobRecord]:
        """Add servers; each is known as `server-ADDRESS`. The job's entity `members` has them. Raises like `task`."""
        wanted = [{"server_id": f"server-{address}", "address": address} for address in addresses]
        return (yield from _done(self, "POST", f"/elbaas/listeners/{listener_id}/members", wanted))

    @Call
    def remove_members(self, listener_id: str, ids: Iterable[str]) -> Steps[JobRecord]:
        """Remove members by their ids. Raises like `task`."""
        body = {"removeMember": [{"id": id} for id in ids]}
        return (yield from _done(self, "POST", f"/elbaas/listeners/{listener_id}/members/action", body))


def listener_fields(
    load_balancer_id: str, *, protocol: str, port: int, backend_port: int, name: str = "listener", **more: Any
) -> dict[str, Any]:
    """The body that asks for a listener, with members that speak the protocol without TLS.

    Args:
        protocol: HTTP, HTTPS, TCP or UDP.
        more: other fields of the classic API, which win.
    """
    return {
        "name": name,
        "loadbalancer_id": load_balancer_id,
        "protocol": protocol,
        "port": port,
        "backend_protocol": "HTTP" if protocol == "HTTPS" else protocol,
        "backend_port": backend_port,
        "lb_algorithm": "roundrobin",
    } | more


def _done(
    calls: Calls,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = JOB_SECONDS,
) -> Steps[JobRecord]:
    accepted = yield from _called(calls, method, path, body, None, headers)
    job = yield from _ended(calls, accepted["job_id"], seconds)
    if job.status == "FAIL":
        raise JobFailed(job)
    return job


def _ended(calls: Calls, id: str, seconds: float) -> Steps[JobRecord]:
    # The service holds each answer until the job has ended: the news is here sooner than by asking again and again.
    deadline = time.monotonic() + seconds
    while True:
        hold = min(max(deadline - time.monotonic(), 0.0), LONGEST_HOLD)
        job = JobRecord.of((yield from _called(calls, "GET", f"/jobs/{id}", query={"wait": f"{hold:.3f}"})))
        if job.ended:
            return job
        if time.monotonic() >= deadline:
            raise JobUnfinished(job, seconds)


def _called(
    calls: Calls,
    method: str,
    path: str,
    body: object = None,
    query: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Steps[Any]:
    whole = calls.root + path
    if query:
        whole = f"{whole}?{urlencode(query)}"
    answer = yield from _sent(calls, method, whole, body, headers)
    return json.loads(answer.content) if answer.content else None


def _sent(
    calls: Calls, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> Steps[ApiResponse]:
    content = None if body is None else json.dumps(body).encode()
    sent = {"X-Auth-Token": calls.token} if calls.token else {}
    if content is not None:
        sent["Content-Type"] = "application/json"
    if headers:
        sent |= headers
    answer = yield ApiRequest(method, path, sent, content)
    if not answer.is_success:
        raise ApiError(method, path, answer)
    return answer
