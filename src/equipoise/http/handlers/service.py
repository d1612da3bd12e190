"""Operations about the service itself: is it there."""

from starlette.requests import Request
from starlette.responses import Response

from equipoise.http.respond import json_response
from equipoise.http.routing import Operation

_UP = {"status": "ok"}


class Service:
    """Handlers of the operations that need no token."""

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [Operation("showHealth", "GET", "/healthz", self.health, "Whether the service is up")]

    async def health(self, _request: Request) -> Response:
        return json_response(_UP)
