"""TLS clients for tests: of any version and with any cipher suite that Python's OpenSSL can still speak."""

import socket
import ssl
import warnings
from collections.abc import Sequence
from functools import cache

from tests.stand import PATIENCE

V = ssl.TLSVersion

_HANDSHAKE, _CERTIFICATE = 22, 11


@cache
def suites() -> Sequence[str]:
    """The names of all suites up to TLS 1.2 of this OpenSSL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return [each["name"] for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]


def client_context(
    trusted: str | None, *, version: ssl.TLSVersion | None = None, suite: str = "ALL", alpn: Sequence[str] = ()
) -> ssl.SSLContext:
    """A context that trusts these certificates (PEM; None: whatever comes) and speaks one version, one suite."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusted is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=trusted)
    context.set_ciphers(f"{suite}:@SECLEVEL=0")
    if version is not None:
        with warnings.catch_warnings():
            # The old versions are what is tried here.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def connect(place: tuple[str, int], context: ssl.SSLContext, name: str | None = None) -> ssl.SSLSocket:
    """Raises SSLError, or ConnectionError, when the two do not come together."""
    plain = socket.create_connection(place, timeout=PATIENCE)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def agreed(place: tuple[str, int], context: ssl.SSLContext) -> tuple[str, str] | None:
    """Version and suite on which both agreed, None when they did not."""
    try:
        with connect(place, context) as connection:
            found = connection.cipher()
            assert found is not None
            return str(connection.version()), found[0]
    except (ssl.SSLError, ConnectionError):
        return None


def served(place: tuple[str, int]) -> bytes:
    """The certificate (DER) that the next connection is shown."""
    with connect(place, client_context(None)) as connection:
        found = connection.getpeercert(binary_form=True)
        assert found is not None
        return found


def served_chain(place: tuple[str, int]) -> list[bytes]:
    """All certificates (DER) that a handshake shows, which must come to its end: up to TLS 1.2 they can be read."""
    context = client_context(None, version=V.TLSv1_2)
    inward, outward, raw = ssl.MemoryBIO(), ssl.MemoryBIO(), bytearray()
    session = context.wrap_bio(inward, outward)
    with socket.create_connection(place, timeout=PATIENCE) as plain:
        while True:
            try:
                session.do_handshake()
                return _certificates(bytes(raw))
            except ssl.SSLWantReadError:
                plain.sendall(outward.read())
                data = _some(plain)
                raw += data
                inward.write(data)


def _certificates(raw: bytes) -> list[bytes]:
    """The list in the Certificate message of a server's records (RFC 5246, sections 6.2.1 and 7.4.2)."""
    messages, at = b"", 0
    while raw[at] == _HANDSHAKE:
        size = int.from_bytes(raw[at + 3 : at + 5], "big")
        messages += raw[at + 5 : at + 5 + size]
        at += 5 + size
    at = 0
    while messages[at] != _CERTIFICATE:
        at += 4 + int.from_bytes(messages[at + 1 : at + 4], "big")
    end = at + 4 + int.from_bytes(messages[at + 1 : at + 4], "big")
    at += 7
    found = []
    while at < end:
        size = int.from_bytes(messages[at : at + 3], "big")
        found.append(messages[at + 3 : at + 3 + size])
        at += 3 + size
    return found


def ask_on(connection: socket.socket, path: str = "/", host: str = "a.test") -> bytes:
    """One request on a connection that stays open; returns the body, which must come with status 200."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return read_answer(connection)


def read_answer(connection: socket.socket) -> bytes:
    got = bytearray()
    while b"\r\n\r\n" not in got:
        got += _some(connection)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), bytes(head)
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < int(lengths[0]):
        body += _some(connection)
    return bytes(body)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 20)
    if not data:
        raise ConnectionError("the connection was cut")
    return data
