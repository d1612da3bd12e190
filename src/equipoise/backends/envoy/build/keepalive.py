"""How it comes out that the other end of a TCP connection, client or member, has vanished without a word.

A machine that loses its power or its network sends no end of a connection. The kernel asks those that say nothing
(SO_KEEPALIVE), and ends connections of which nobody answers. An end that lives answers without its program noticing.
"""

import socket
from collections.abc import Sequence
from functools import cache
from typing import Final

from envoy.config.cluster.v3.cluster_pb2 import UpstreamConnectionOptions
from envoy.config.core.v3.address_pb2 import TcpKeepalive
from envoy.config.core.v3.socket_option_pb2 import SocketOption
from google.protobuf.wrappers_pb2 import UInt32Value

PROBES: Final = 4
MOST_BETWEEN_PROBES: Final = 15
"""In seconds. Shorter where silence is shorter: who wants to know soon does not want to ask for a minute."""


# Equal for all listeners, and made for each of thousands; messages that take them in take copies.
@cache
def of_clients(silence: int) -> Sequence[SocketOption]:
    """Return what a listening socket hands on to the connections that it takes in.

    `silence` is in seconds, up to 32,767: how long nothing has to arrive until the kernel asks; 0: it never does.
    """
    if not silence:
        # Said too: a socket that one Envoy has from another brings along what it was told before.
        return [_option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)]
    return [
        _option(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        _option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, silence),
        _option(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _between_probes(silence)),
        _option(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES),
    ]


@cache
def of_members(silence: int) -> UpstreamConnectionOptions | None:
    """Return the same for connections to members; None for 0."""
    if not silence:
        return None
    return UpstreamConnectionOptions(
        tcp_keepalive=TcpKeepalive(
            keepalive_time=UInt32Value(value=silence),
            keepalive_interval=UInt32Value(value=_between_probes(silence)),
            keepalive_probes=UInt32Value(value=PROBES),
        )
    )


def _between_probes(silence: int) -> int:
    return min(silence, MOST_BETWEEN_PROBES)


def _option(level: int, name: int, value: int) -> SocketOption:
    return SocketOption(
        level=level,
        name=name,
        int_value=value,
        state=SocketOption.STATE_PREBIND,
    )
