"""The calls that a node makes to a controller, and how it reaches one: gRPC, with certificates on both sides.

`Join` gives a certificate to a node that has a join token, `Renew` another one to a node that has one, and `Speak` is
the stream of messages (`equipoise.wire.codec`).
"""

from typing import Final

import grpc
import grpc.aio
import msgspec

from equipoise.wire.authority import CONTROLLER_NAME, KeyPair

SERVICE: Final = "equipoise.Nodes"
JOIN: Final = "Join"
RENEW: Final = "Renew"
SPEAK: Final = "Speak"

CALL_SECONDS: Final = 5.0
"""Seconds in which a controller must answer a call."""

MESSAGE_BYTES: Final = 256 * 1024 * 1024
"""The longest message: 256 load balancers with some hundred thousand members."""


class JoinRequest(msgspec.Struct, frozen=True):
    """A node asks for its first certificate. `request` is PEM."""

    request: bytes
    name: str


class JoinReply(msgspec.Struct, frozen=True):
    """Who the node is from now on. `certificate` is PEM."""

    node_id: str
    certificate: bytes


def channel(controller: str, authority: bytes, pair: KeyPair) -> grpc.aio.Channel:
    """The way to a controller, at HOST:PORT. Whoever answers there must have a certificate of the authority."""
    credentials = grpc.ssl_channel_credentials(authority, pair.key, pair.certificate)
    options = [
        ("grpc.ssl_target_name_override", CONTROLLER_NAME),
        # Else a new one would wait as long as one before it that could not connect, and use its connection.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ]
    return grpc.aio.secure_channel(controller, credentials, options)


async def call(way: grpc.aio.Channel, method: str, content: bytes) -> bytes:
    """Ask the controller there. Raises AioRpcError."""
    answer: bytes = await way.unary_unary(_path(method), None, None)(content, timeout=CALL_SECONDS)
    return answer


def speak(way: grpc.aio.Channel) -> "grpc.aio.StreamStreamCall[bytes, bytes]":
    """Open the stream of messages to the controller there."""
    return way.stream_stream(_path(SPEAK), None, None)(None)


def is_rejection(error: grpc.aio.AioRpcError) -> bool:
    """Whether the controller has understood who asks, and will not have it."""
    return error.code() in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT}


def is_stranger(error: grpc.aio.AioRpcError) -> bool:
    """Whether whoever answered has no certificate of the authority."""
    return "CERTIFICATE_VERIFY_FAILED" in (error.details() or "")


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Why a call has failed, for people."""
    if is_stranger(error):
        return "what answers there is not a controller of the service that this node belongs to"
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"it did not answer within {CALL_SECONDS:g} s"
    return error.details() or error.code().name


def _path(method: str) -> str:
    """The name of a call on the wire."""
    return f"/{SERVICE}/{method}"
