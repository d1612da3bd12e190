"""What calls return."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stood when it was read (docs/reference/jobs.md).

    Attributes:
        status: INIT, RUNNING, SUCCESS or FAIL.
        entities: what the job is about.
        error_code, fail_reason: why it failed; None unless `status` is FAIL.
        document: the whole answer, from which the other attributes are.
    """

    id: str
    type: str
    status: str
    entities: Mapping[str, Any]
    error_code: str | None
    fail_reason: str | None
    document: dict[str, Any]

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        return cls(
            document["job_id"],
            document["job_type"],
            document["status"],
            document["entities"],
            document["error_code"],
            document["fail_reason"],
            document,
        )

    @property
    def ended(self) -> bool:
        return self.status in {"SUCCESS", "FAIL"}
