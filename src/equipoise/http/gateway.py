"""Lets only an authenticating gateway in (`http.gateway_secret`). Who the user behind it is, the token says as ever."""

import hmac
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from equipoise.http.errors import GatewayRequired

OPEN_PATHS: Final = frozenset({"/healthz", "/metrics"})
"""What supervisors of the machine itself ask; the metrics have a lock of their own (`metrics.access`)."""


class GatewayOnly:
    """Raises GatewayRequired unless a request brings `Proxy-Authorization: Basic` with the secret as its password.

    Basic (RFC 7617) because every reverse proxy can send it as a fixed header; its user name is not looked at.
    """

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in OPEN_PATHS and not self._came_through(Headers(scope=scope)):
            raise GatewayRequired("The service is reached through its gateway only; ask for its address.")
        await self._app(scope, receive, send)

    def _came_through(self, headers: Headers) -> bool:
        scheme, _, credentials = headers.get("proxy-authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            decoded = b64decode(credentials.strip(), validate=True)
        except (NotBase64, ValueError):
            return False
        return hmac.compare_digest(decoded.partition(b":")[2], self._secret)
