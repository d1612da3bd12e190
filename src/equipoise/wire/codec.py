"""The messages between a controller and a node as bytes: MessagePack of a kind and the fields of the message.

Two releases that follow one another understand each other. A message of an unknown kind and unknown fields are skipped,
and a field that is missing has its default. So a release may add kinds, and fields with a default. What is told by
place or by number (named tuples, enumerations) grows in two steps: one release understands it, the next one sends it.

Models hold private keys: nothing here quotes what it cannot read.
"""

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from equipoise.proxy.link import (
    AcknowledgeRejection,
    AllAssigned,
    Assign,
    Attached,
    Confirmed,
    Detached,
    Gone,
    Goodbye,
    Greeting,
    HealthSeen,
    Hello,
    Renew,
    Renewed,
    ResourcesRejected,
    ToController,
    ToNode,
    TrafficSeen,
    UpToDate,
)

KINDS: Final[Mapping[str, type]] = {
    "greeting": Greeting,
    "attached": Attached,
    "renewed": Renewed,
    "detached": Detached,
    "assign": Assign,
    "gone": Gone,
    "all_assigned": AllAssigned,
    "acknowledge_rejection": AcknowledgeRejection,
    "hello": Hello,
    "goodbye": Goodbye,
    "renew": Renew,
    "up_to_date": UpToDate,
    "confirmed": Confirmed,
    "resources_rejected": ResourcesRejected,
    "health_seen": HealthSeen,
    "traffic_seen": TrafficSeen,
}
"""What each message is called on the wire. A class may get another name, a kind may not."""

_KIND_OF: Final = {message: kind for kind, message in KINDS.items()}
_ENVELOPE: Final = msgspec.msgpack.Decoder(tuple[str, msgspec.Raw])
# A mapping of another type than `dict` goes as one.
_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=dict)


class MalformedMessageError(Exception):
    """What was received is no message. The text names its kind where that is known, and quotes nothing."""


def encode(message: ToNode | ToController) -> bytes:
    """The bytes of a message."""
    return _ENCODER.encode((_KIND_OF[type(message)], message))


class _Decoder:
    """Reads the messages of one direction.

    Args:
        messages: the union of their types.
    """

    def __init__(self, messages: Any) -> None:
        self._decoders = {_KIND_OF[each]: msgspec.msgpack.Decoder(each) for each in get_args(messages)}

    def decode(self, frame: bytes) -> Any:
        """The message; None for one of a kind that this release does not know. Raises MalformedMessageError."""
        try:
            kind, fields = _ENVELOPE.decode(frame)
        except msgspec.DecodeError:
            raise MalformedMessageError("the other side sent something that is no message") from None
        decoder = self._decoders.get(kind)
        if decoder is None:
            return None
        try:
            return decoder.decode(fields)
        except msgspec.DecodeError:
            # Without the cause, which may quote a value.
            raise MalformedMessageError(
                f"the other side sent a message {kind!r} that this release cannot read: their releases may be too "
                "far apart"
            ) from None


_TO_NODE: Final = _Decoder(ToNode)
_TO_CONTROLLER: Final = _Decoder(ToController)


def decode_to_node(frame: bytes) -> ToNode | None:
    """The message for a node; None for one of an unknown kind. Raises MalformedMessageError."""
    message: ToNode | None = _TO_NODE.decode(frame)
    return message


def decode_to_controller(frame: bytes) -> ToController | None:
    """The message for a controller; None for one of an unknown kind. Raises MalformedMessageError."""
    message: ToController | None = _TO_CONTROLLER.decode(frame)
    return message
