"""What the head of a request must be beyond what the parser sees to: RFC 9110, RFC 9112, RFC 3986.

What can be read in two ways is refused, never guessed at: somebody between the client and this service may have read it
in the other one.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from equipoise.http.errors import Malformed, NotOffered, RequestError
from equipoise.quoting import shown

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and values, in the order in which they came."""

SINGLE: Final = (b"authorization", b"idempotency-key", b"proxy-authorization", b"x-auth-token", b"x-subject-token")
"""Headers that decide who may do what; with two values nobody could say which one counts (RFC 9110, section 5.3)."""

_LOOKED_AT: Final = frozenset({*SINGLE, b"host", b"transfer-encoding"})
_VERSIONS: Final = ("1.0", "1.1")
_NOT_ENCODED: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)(.*)", re.DOTALL)
_HOST: Final = re.compile(
    rb"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::0*(?P<port>[0-9]{0,5}))?"
)
_LARGEST_PORT: Final = 65535


class RequestTarget(NamedTuple):
    """What a request is for.

    Args:
        raw_path: as it came, percent-encoded; begins with a slash.
        path: decoded, but for encoded slashes, which are part of a segment and never part two (RFC 3986, section 2.2).
        query: as it came, without its question mark; empty when there is none.
        authority: of a target in absolute form: it counts in place of Host (RFC 9112, section 3.2.2). Else None.
    """

    raw_path: bytes
    path: str
    query: bytes
    authority: bytes | None = None


def check_head(version: str, headers: Headers) -> None:
    """See that the head says in one way only how the message ends, whom it is for and who sent it.

    Args:
        version: of HTTP, as `1.1`.

    Raises:
        Malformed, or NotOffered for a transfer coding that is not known here.
    """
    if version not in _VERSIONS:
        raise _malformed(f"This is HTTP/{version}; the service speaks HTTP/1.1 and HTTP/1.0.")
    given: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _LOOKED_AT:
            given.setdefault(name, []).append(value)
    _check_hosts(given.pop(b"host", []), needed=version != "1.0")
    _check_transfer_codings(given.pop(b"transfer-encoding", []), version)
    for name, values in given.items():
        if len(values) > 1:
            raise _malformed(f"The header {shown(name.decode('ascii'))} is there more than once; send it once.")


def target_of(method: str, target: bytes) -> RequestTarget:
    """Read the target of a request. Raises Malformed, or NotOffered for `OPTIONS *`."""
    if method == "CONNECT":
        raise _malformed("This is no proxy; send the request to a path.")
    if target == b"*":
        if method == "OPTIONS":
            raise NotOffered("OPTIONS is not offered; GET /openapi.json says what each path takes.")
        raise _malformed("The URL * belongs to OPTIONS alone; send the request to a path.")
    if b"#" in target:
        raise _malformed("The URL has a fragment, which a client keeps to itself; leave out # and what follows it.")
    authority = None
    if not target.startswith(b"/"):
        authority, target = _taken_apart(target)
    if b"%" in target:
        _check_percent_encoding(target)
    raw_path, _, query = target.partition(b"?")
    return RequestTarget(raw_path, _decoded(raw_path), query, authority)


def with_host(headers: Headers, authority: bytes) -> list[tuple[bytes, bytes]]:
    """The headers with another host."""
    return [(b"host", authority), *((name, value) for name, value in headers if name != b"host")]


def _check_hosts(values: Sequence[bytes], *, needed: bool) -> None:
    """RFC 9112, section 3.2: exactly one valid host; before HTTP/1.1 there may be none."""
    if not values and needed:
        raise _malformed("The header Host is missing, which every request of HTTP/1.1 has; send it.")
    if len(values) > 1:
        raise _malformed("The header Host is there more than once; send it once.")
    if values and not _is_host(values[0]):
        raise _malformed(
            f"The header Host is {_quoted(values[0])}, but must be a name or an address, with :port if it needs one."
        )


@lru_cache(256)
def _is_host(value: bytes) -> bool:
    """Whether it is `uri-host [ ":" port ]`. An empty host is none (RFC 9110, section 4.2.1)."""
    found = _HOST.fullmatch(value)
    if found is None or int(found["port"] or 0) > _LARGEST_PORT:
        return False
    if found["ipv6"] is not None:
        try:
            IPv6Address(found["ipv6"].decode("ascii"))
        except AddressValueError:
            return False
    return True


def _check_transfer_codings(values: Sequence[bytes], version: str) -> None:
    if not values:
        return
    codings = [coding for coding in (part.strip(b" \t").lower() for part in b",".join(values).split(b",")) if coding]
    if codings and version == "1.0":
        # RFC 9112, section 6.1: the framing of such a message is faulty.
        raise _malformed("HTTP/1.0 has no Transfer-Encoding; send Content-Length.")
    if codings and codings[-1] != b"chunked":
        # RFC 9112, section 6.3: where the body ends cannot be known.
        raise _malformed("The last Transfer-Encoding must be chunked; send chunked alone.")
    if len(codings) > 1:
        raise NotOffered(
            f"The Transfer-Encoding {_quoted(b', '.join(codings))} is not known here; send chunked alone.",
        )


def _taken_apart(target: bytes) -> tuple[bytes, bytes]:
    """Authority and the rest, which begins with a slash, of a target in absolute form."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise _malformed("The URL begins neither with a slash nor with http://; send the request to a path.")
    scheme, authority, rest = found.groups()
    if scheme.lower() != b"http":
        # RFC 9110, section 7.4: what is meant for a secured connection is not answered on another one.
        raise _malformed(f"The URL begins with {shown(scheme.decode('ascii'))}; this connection is for http.")
    if not _is_host(authority):
        raise _malformed(f"The host of the URL is {_quoted(authority)}, which is no name or address.")
    return authority, rest if rest.startswith(b"/") else b"/" + rest


def _check_percent_encoding(target: bytes) -> None:
    found = _NOT_ENCODED.search(target)
    if found is not None:
        place = found.start() + 1
        raise _malformed(
            f"The URL has a % at character {place} without two hexadecimal digits after it; send it as %25."
        )
    try:
        unquote_to_bytes(target).decode()
    except UnicodeDecodeError as fault:
        byte = fault.object[fault.start]
        raise _malformed(f"The URL has %{byte:02X}, which is not part of UTF-8; encode it in UTF-8.") from None


def _decoded(raw_path: bytes) -> str:
    if b"%" not in raw_path:
        return raw_path.decode("ascii")
    segments = (unquote_to_bytes(segment).decode().replace("/", "%2F") for segment in raw_path.split(b"/"))
    return "/".join(segments)


def _quoted(value: bytes) -> str:
    return shown(value.decode("latin-1"))


def _malformed(detail: str) -> RequestError:
    return Malformed(detail)
