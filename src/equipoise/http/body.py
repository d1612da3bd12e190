"""Reading a request's body as JSON. What the JSON must say is the business of each API."""

from typing import Final

import msgspec
from starlette.requests import Request

from equipoise.http.errors import BodyMalformed, BodyMissing, BodyTooLarge
from equipoise.quoting import shown

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DECODER: Final = msgspec.json.Decoder()


async def raw_body(request: Request, *, limit: int) -> bytes:
    """The body as it came.

    Raises:
        BodyTooLarge: it is larger than `limit` bytes.
        ClientDisconnect: the client has gone before the body was complete.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def check_encoding(request: Request) -> None:
    """Raise BodyMalformed when the body is compressed: no client of this API does that."""
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        raise BodyMalformed(f"A body in Content-Encoding {shown(coding)} is not taken; send the JSON as it is.")


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {limit} bytes; send less at once.")


def decoded(raw: bytes) -> object:
    """The JSON of a body, whatever its Content-Type says: old clients send none. Of doubled keys the last one counts.

    Raises:
        BodyMissing, BodyMalformed: the message says what is wrong.
    """
    # Some clients begin every text with a byte order mark; a parser may ignore it (RFC 8259, section 8.1).
    raw = raw.removeprefix(_BYTE_ORDER_MARK)
    if not raw.strip():
        raise BodyMissing("The request has no body; send one in JSON.")
    try:
        return _DECODER.decode(raw)
    except RecursionError:
        raise BodyMalformed("The body is nested too deeply; send plain JSON.") from None
    except UnicodeDecodeError as fault:
        raise BodyMalformed(
            f"The body is not UTF-8: the character at byte {fault.start} of a text is broken."
        ) from None
    except msgspec.DecodeError as fault:
        raise BodyMalformed(f"The body is not valid JSON: {fault}.") from None
