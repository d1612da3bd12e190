"""Answers of handlers. Answers to broken rules are `equipoise.api.classic.errors`'s."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

_ENCODER = msgspec.json.Encoder()


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The value as JSON."""
    return Response(_ENCODER.encode(value), status, headers, media_type="application/json")


def no_content() -> Response:
    """204, without a body."""
    return Response(status_code=204)
