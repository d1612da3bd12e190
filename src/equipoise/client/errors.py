"""What can go wrong with a call, one class for each kind."""

import json
from collections.abc import Mapping
from typing import Any

from equipoise.client.records import JobRecord
from equipoise.client.transport import ApiResponse


class ClientError(Exception):
    """Of all errors of this package."""


class NoAnswer(ClientError):
    """No answer came: the service is not there, or the connection broke. A change may have happened all the same.

    Attributes:
        reason: what the transport says.
    """

    def __init__(self, method: str, path: str, reason: str) -> None:
        super().__init__(f"The service did not answer {method} {path}: {reason}.")
        self.method = method
        self.path = path
        self.reason = reason


class ApiError(ClientError):
    """The service answered with an error (docs/reference/return-values.md).

    Attributes:
        status: of HTTP.
        code: of the error, such as `ELB.1001`; empty if the answer is not one of this service, but of a proxy.
        message: what the code means.
        detail: what is wrong with this request, a sentence for people; may be empty.
        request_id: finds the request in the log of the service.
        text: the whole answer.
    """

    def __init__(self, method: str, path: str, answer: ApiResponse) -> None:
        found = _decoded(answer.content)
        self.method = method
        self.path = path
        self.status = answer.status
        self.code = str(found.get("code", ""))
        self.message = str(found.get("message", ""))
        self.detail = str(found.get("detail", ""))
        self.request_id = answer.headers.get("x-request-id", "")
        self.text = answer.content.decode(errors="replace")
        what = " ".join(part for part in (self.code, self.detail or self.message or self.text) if part)
        super().__init__(f"{method} {path} was answered with {answer.status}: {what}")


class JobFailed(ClientError):
    """A job ended as FAIL: `job.error_code` and `job.fail_reason` say why."""

    def __init__(self, job: JobRecord) -> None:
        super().__init__(f"Job {job.id} ({job.type}) failed with {job.error_code}: {job.fail_reason}")
        self.job = job


class JobUnfinished(ClientError):
    """A job did not end within the time that the caller had; it goes on."""

    def __init__(self, job: JobRecord, seconds: float) -> None:
        super().__init__(f"Job {job.id} ({job.type}) was still {job.status} after {seconds:g} s.")
        self.job = job


def _decoded(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
