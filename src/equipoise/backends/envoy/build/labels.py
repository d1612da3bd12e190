"""The label by which a connection to a member is known as one of a certain listener. `node.cutting` reads it.

A connection between Envoy and a member does not tell which listener it serves, and several listeners may have the
same member. So the cluster of a listener sets a socket option on its connections: a receive time-out, which the
kernel keeps, hands back, and never applies, since Envoy's sockets do not block. Unlike a mark or a priority it
needs no privilege and is nothing that the network or a firewall rule could notice.
"""

import socket
import struct
from hashlib import blake2b
from typing import Final

LABEL_LEVEL: Final = socket.SOL_SOCKET
LABEL_OPTION: Final = socket.SO_RCVTIMEO

_TIME_VALUE: Final = struct.Struct("=qq")
LABEL_BYTES: Final = _TIME_VALUE.size

_HASH_BYTES: Final = 5
"""The kernel keeps time-outs in ticks: seconds of 40 bits still fit, whatever its tick."""


def label(listener_id: str) -> bytes:
    """Return the value of the socket option: a `struct timeval` whose seconds are a hash of the id."""
    seconds = int.from_bytes(blake2b(listener_id.encode(), digest_size=_HASH_BYTES).digest(), "big")
    return _TIME_VALUE.pack(seconds, 0)
