"""The few calls of the API that the demo makes, with answers that are errors turned into sentences."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

import httpx

from equipoise.cli.demonstration.failure import DemoFailed

_PATIENCE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.005


class Client:
    """Speaks for one project once `log_in` has been called."""

    def __init__(self, http: httpx.AsyncClient, credentials: Path) -> None:
        self._http = http
        self._known: dict[str, str] = json.loads(credentials.read_text())
        self.root = f"/v1.0/{self._known['project_id']}"
        self.project = self._known["project_name"]
        self.token = ""

    async def log_in(self) -> None:
        """Get a token with user name and password, for the project in the credentials."""
        domain = {"name": self._known["user_domain_name"]}
        user = {"name": self._known["username"], "password": self._known["password"], "domain": domain}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": self.project, "domain": domain}}
        answer = await self._send("POST", "/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
        self.token = answer.headers["x-subject-token"]
        self._http.headers["x-auth-token"] = self.token

    async def get(self, path: str) -> Any:
        """The decoded answer; `path` is below the project."""
        return (await self._send("GET", self.root + path)).json()

    async def post(self, path: str, body: object) -> Any:
        """The decoded answer; `path` is below the project."""
        return (await self._send("POST", self.root + path, body)).json()

    async def task(self, path: str, body: object) -> dict[str, Any]:
        """Ask for a task and follow its job to SUCCESS; returns the job."""
        job_id = (await self.post(path, body))["job_id"]
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            job: dict[str, Any] = await self.get(f"/jobs/{job_id}")
            if job["status"] == "SUCCESS":
                return job
            if job["status"] == "FAIL":
                raise DemoFailed(
                    f"Job {job_id} ({job['job_type']}) failed with {job['error_code']}: {job['fail_reason']}",
                    "The reason says what to change; then start the demo again.",
                )
            await asyncio.sleep(_POLL_SECONDS)
        raise DemoFailed(
            f"Job {job_id} was still {job['status']} after {_PATIENCE_SECONDS:g} s.",
            "See that Envoy can run on this machine (log/envoy.log in a data directory tells), then start again.",
        )

    async def _send(self, method: str, path: str, body: object = None) -> httpx.Response:
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise DemoFailed(
                f"The service did not answer {method} {path}: {error or type(error).__name__}.",
                "Start the demo again; if it happens again, run `equipoise up` by itself and look at its log.",
            ) from error
        if not answer.is_success:
            raise DemoFailed(
                f"{method} {path} was answered with {answer.status_code}.",
                "The lines above are the answer; it says what the service did not like.",
                answer.text,
            )
        return answer
