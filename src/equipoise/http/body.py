"""Reading a request's body as JSON. What the JSON must say is `equipoise.api.classic.rules`'."""

from typing import Final

import msgspec
from starlette.requests import Request

from equipoise.http.errors import BodyMissing, BodyTooLarge, Malformed, RequestError
from equipoise.http.json_fault import fault_of
from equipoise.quoting import shown

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DECODER: Final = msgspec.json.Decoder()


async def raw_body(request: Request, *, limit: int) -> bytes:
    """The body as it came.

    Raises:
        BodyTooLarge.
        ClientDisconnect: the client has gone before the body was complete.
    """
    announced = request.headers.get("content-length", "")
    # Python reads no number of more than 4,300 digits, and a client may send as many zeros before it.
    if announced.isdecimal() and int(announced.lstrip("0") or "0") > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def check_encoding(request: Request) -> None:
    """Raises Malformed when the body is compressed: no client of this API does that."""
    coding = ",".join(request.headers.getlist("content-encoding")).strip().lower()
    if coding not in ("", "identity"):
        raise Malformed(f"A body in Content-Encoding {shown(coding)} is not taken; send the JSON as it is.")


def _too_large(limit: int) -> RequestError:
    return BodyTooLarge(f"The body is larger than {limit} bytes; send less at once.")


def decoded(raw: bytes) -> object:
    """The JSON of a body, whatever its Content-Type says: old clients send none. Of doubled keys the last one counts.

    Raises:
        BodyMissing or Malformed.
    """
    # Some clients begin every text with a byte order mark; a parser may ignore it (RFC 8259, section 8.1).
    raw = raw.removeprefix(_BYTE_ORDER_MARK)
    if not raw.strip():
        raise BodyMissing("The request has no body; send one in JSON.")
    try:
        return _DECODER.decode(raw)
    except RecursionError:
        raise Malformed("The body is nested too deeply; send plain JSON.") from None
    except (UnicodeDecodeError, msgspec.DecodeError) as fault:
        raise Malformed(f"The body is not valid JSON: {fault_of(raw, str(fault))}.") from None
