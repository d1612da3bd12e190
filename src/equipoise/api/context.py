"""What every handler of every API does first with a request over HTTP: who asks, what was sent, under which key."""

from dataclasses import dataclass

from starlette.requests import Request

from equipoise.api.service import RequestCredentials, Service
from equipoise.http.body import check_encoding, decoded, raw_body
from equipoise.usecases.context import Caller
from equipoise.usecases.idempotency import Attempt, checked_key


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it came, and decoded."""

    raw: bytes
    value: object


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A request to change something, of somebody who may. `key` is its idempotency key, if it has one."""

    caller: Caller
    key: str | None
    method: str
    path: str

    def attempt(self, body: Body | None = None) -> Attempt | None:
        """What tells this sending from others, with the body where the operation takes one; None without a key."""
        if self.key is None:
            return None
        return Attempt.of(self.key, self.method, self.path, b"" if body is None else body.raw)


class ApiContext:
    """The way from a request over HTTP to the service.

    Args:
        max_body: bytes of the largest body of a request (`http.max_body`).
    """

    def __init__(self, service: Service, max_body: int) -> None:
        self.service = service
        self._max_body = max_body

    async def reader(self, request: Request) -> Caller:
        """Who asks to read. Raises as `Service.authenticate` does."""
        return await self.service.authenticate(_credentials(request))

    async def writer(self, request: Request) -> WriteRequest:
        """Who asks to write. Raises as `Service.authenticate_writer` does, and KeyInvalid."""
        caller = await self.service.authenticate_writer(_credentials(request))
        key = request.headers.get("idempotency-key")
        return WriteRequest(caller, None if key is None else checked_key(key), request.method, request.scope["path"])

    async def body(self, request: Request) -> Body:
        """The body as JSON. Raises as `check_encoding`, `raw_body` and `decoded` of `equipoise.http.body` do."""
        check_encoding(request)
        raw = await self.raw_body(request)
        return Body(raw, decoded(raw))

    async def raw_body(self, request: Request) -> bytes:
        """The body as it came. Raises as `raw_body` of `equipoise.http.body` does."""
        return await raw_body(request, limit=self._max_body)


def token_of(request: Request) -> str | None:
    """The token of a request, if it brings one."""
    return request.headers.get("x-auth-token")


def _credentials(request: Request) -> RequestCredentials:
    # One path names no project (classic-api.md, Health check): there the token's counts.
    return RequestCredentials(token_of(request), request.path_params.get("project_id"), request.state.request_id)
