"""Addresses and ports that nobody else uses."""

import itertools
import random
import socket
from ipaddress import IPv4Network
from itertools import islice

_OCTETS = itertools.count(random.SystemRandom().randrange(100_000))


def unused_network() -> str:
    """A /24 of the loopback range that no other stand of this run uses."""
    number = next(_OCTETS)
    return f"127.{128 + number // 256 % 100}.{number % 256}.0/24"


def first_addresses(network: str, count: int) -> list[str]:
    """So many addresses of a network, from its first host on."""
    return [str(address) for address in islice(IPv4Network(network).hosts(), count)]


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def can_connect(address: str, port: int) -> bool:
    """Whether somebody listens there right now.

    A listener that closes with the connection still in its queue resets it, which is no listener either.
    """
    try:
        socket.create_connection((address, port), timeout=5).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return False
    return True
