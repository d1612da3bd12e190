"""The operation that describes all others, and itself."""

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.common import openapi
from equipoise.http.routing import Operation


class Description:
    """Handler of the OpenAPI document of the service.

    Args:
        others: the operations to describe.
    """

    def __init__(self, others: Iterable[Operation]) -> None:
        self._body = msgspec.json.encode(openapi.document([*others, *self.operations()]))

    def operations(self) -> list[Operation]:
        """What this class answers."""
        return [
            Operation(
                "showOpenApi",
                "GET",
                "/openapi.json",
                self.show,
                "This document",
                answer=dict[str, Any],
                open=True,
            )
        ]

    async def show(self, _request: Request) -> Response:
        return Response(self._body, media_type="application/json")
