"""Answers for the service while it is starting: the port is open, what stands behind it is not yet there."""

from starlette.types import ASGIApp, Receive, Scope, Send

from equipoise.http.errors import NotServing


class Readiness:
    """Raises NotServing for every request until `serve` has named the application."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    def serve(self, app: ASGIApp) -> None:
        """From now on requests go to `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            raise NotServing("The service is starting; try again in a few seconds.", retry_after="1")
        await self._app(scope, receive, send)
