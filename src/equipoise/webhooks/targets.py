"""Where deliveries may go. Users choose the address and the service calls it: it must not call for them what they
themselves may not reach.

What counts is the address that is connected to, not the name: it is looked up once, checked, and then used.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


class TargetForbidden(Exception):
    """The operator does not let deliveries go there; the message says where."""


class Targets:
    """The operator's rule.

    Args:
        forbidden: networks to which nothing is sent (`webhooks.forbidden`).
    """

    def __init__(self, forbidden: Sequence[Network]) -> None:
        self._forbidden = forbidden

    def check_literal(self, host: str) -> None:
        """Refuse at once a host that is an address, not a name. Raises TargetForbidden."""
        try:
            address = ip_address(host)
        except ValueError:
            return
        self._check(address)

    async def address_of(self, host: str, port: int) -> str:
        """An address of the host that may be called.

        Raises:
            TargetForbidden: one of its addresses may not be; then none is.
            OSError: there is no such host.
        """
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            self._check(ip_address(address))
        return addresses[0]

    def _check(self, address: IPv4Address | IPv6Address) -> None:
        # An IPv4 address in the clothes of IPv6 reaches the same host.
        real = getattr(address, "ipv4_mapped", None) or address
        if real.is_unspecified or real.is_multicast or any(real in network for network in self._forbidden):
            raise TargetForbidden(f"{address} is among the addresses that the operator has forbidden")
