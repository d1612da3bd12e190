"""Why the parser has refused a request, in words for people. The words of the parser are those of llhttp."""

import re
from typing import Final

from httptools import HttpParserError, HttpParserInvalidMethodError, HttpParserInvalidURLError

from equipoise.http.errors import Malformed, NotOffered, RequestError

_TLS_HANDSHAKE: Final = b"\x16\x03"
_METHOD: Final = re.compile(rb"(?:\r?\n)*[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ \r\n]+ HTTP/1\.[01]\r?\n")
_HEADERS: Final = "a header is not of the form `Name: value`: {}"

_REASONS: Final = {
    "Pause on PRI/Upgrade": "it is HTTP/2, and the service speaks HTTP/1.1",
    "Expected HTTP/2 Connection Preface": "PRI is no method of HTTP/1.1",
    "Invalid method for HTTP/x.x request": "its method is not one of HTTP",
    "Invalid HTTP version": "the service speaks HTTP/1.1 and HTTP/1.0",
    "Expected HTTP/, RTSP/ or ICE/": "after the URL comes HTTP/1.1; a blank in the URL is sent as %20",
    "Expected CRLF after version": "each line ends with CR LF, and nothing stands between the version and that",
    "Expected dot": "the service speaks HTTP/1.1 and HTTP/1.0",
    "Expected space after method": "one blank stands between the method and the URL",
    "Unexpected space after start line": _HEADERS.format("the first one begins with a blank"),
    "Unexpected whitespace after header value": _HEADERS.format("no line may begin with a blank to go on with another"),
    "Invalid header token": _HEADERS.format("its name is empty, or has a blank or a character that no name has"),
    "Invalid header field char": _HEADERS.format("its name has a character that no name has, or CR is missing"),
    "Invalid header value char": _HEADERS.format("its value has a control character"),
    "Missing expected CR after header value": _HEADERS.format("its line ends with LF alone, and not with CR LF"),
    "Missing expected LF after header value": _HEADERS.format("its value has a CR"),
    "Duplicate Content-Length": "Content-Length is there more than once; send it once",
    "Empty Content-Length": "Content-Length is empty; send the bytes of the body in digits",
    "Invalid character in Content-Length": "Content-Length must be digits alone; send the bytes of the body",
    "Content-Length overflow": "Content-Length is out of range; send the bytes of the body",
    "Transfer-Encoding can't be present with Content-Length": "it has Content-Length and Transfer-Encoding; send one",
    "Content-Length can't be present with Transfer-Encoding": "it has Content-Length and Transfer-Encoding; send one",
    "Empty Transfer-Encoding": "Transfer-Encoding is empty; send chunked alone",
    "Invalid `Transfer-Encoding` header value": "the service knows no Transfer-Encoding but chunked, once",
    "Request has invalid `Transfer-Encoding`": "the service knows no Transfer-Encoding but chunked, once",
    "Chunk size overflow": "the size of a chunk is out of range",
    "Invalid character in chunk size": "the size of a chunk must be hexadecimal digits alone",
    "Expected LF after chunk data": "a chunk is longer than its size says",
    "Missing expected CR after chunk data": "a chunk is longer than its size says, or its line ends with LF alone",
    "Missing expected CR after chunk size": "the line with the size of a chunk ends with LF alone, and not with CR LF",
}
_IN_A_CHUNK: Final = "an extension of a chunk is malformed; send none"


def refusal_of(fault: HttpParserError, data: bytes) -> RequestError:
    """What to answer.

    Args:
        fault: of the parser.
        data: what it was given last, where the request begins with it; else empty.
    """
    if isinstance(fault, HttpParserInvalidMethodError) and _METHOD.match(data):
        # RFC 9110, section 9.1. A method that the parser knows is 405 where a path does not take it.
        return NotOffered("This method is not known here; GET /openapi.json says which ones each path takes.")
    return Malformed(f"This is not a valid HTTP/1.1 request: {_reason(fault, data)}.")


def _reason(fault: HttpParserError, data: bytes) -> str:
    reason = str(fault)
    if isinstance(fault, HttpParserInvalidMethodError) and reason not in _REASONS:
        if data.startswith(_TLS_HANDSHAKE):
            return "it is TLS, and the service speaks HTTP without it here; use a URL that begins with http://"
        return "it does not begin with a method, a URL and HTTP/1.1"
    if isinstance(fault, HttpParserInvalidURLError):
        return _url(data)
    if "chunk extension" in reason:
        return _IN_A_CHUNK
    return _REASONS.get(reason, reason)


def _url(data: bytes) -> str:
    line = data.partition(b"\r\n")[0]
    found = next((byte for byte in line if byte >= 0x80 or byte < 0x20), None)
    if found is not None:
        return f"its URL has the byte 0x{found:02X}, which is sent as %{found:02X}"
    return "its URL begins neither with a slash nor with http://, or has a character that no URL has"
