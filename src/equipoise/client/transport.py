"""What a transport is: it sends one request to one service and returns the answer, whatever its status is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request.

    Attributes:
        path: absolute, with the query.
        content: the encoded body; None for none.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """One answer; the names of `headers` are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class SyncTransport(Protocol):
    """Sends requests one after the other. It must wait at least 30 seconds for an answer: calls that wait for a job
    are held by the service for up to `equipoise.client.calls.LONGEST_HOLD` seconds."""

    def send(self, request: ApiRequest) -> ApiResponse:
        """Raises NoAnswer."""

    def close(self) -> None:
        """Close all connections."""


class AsyncTransport(Protocol):
    """The same for asyncio; several requests may be under way at once."""

    async def send(self, request: ApiRequest) -> ApiResponse:
        """Raises NoAnswer."""

    async def close(self) -> None:
        """Close all connections."""
