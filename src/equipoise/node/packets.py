"""Counts the packets of listeners in the kernel, as Envoy sees bytes only. Linux with nftables and the right to use it.

The table belongs to one service and holds two sets: addresses (address, transport, port) by which packets come in, and
go out, each with a counter. Nothing is ever dropped by it.
"""

import asyncio
import socket
import struct
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Final

import structlog

from equipoise.node import nft_reading
from equipoise.node.nft import KernelRefusedError, carry_out

_log = structlog.get_logger("equipoise.packets")

CountedAddress = tuple[str, str, int]
"""Address, transport (tcp or udp) and port."""

Packets = Mapping[CountedAddress, tuple[int, int]]
"""Packets in and out since counting began."""

_REQUESTS: Final = "requests"
_ANSWERS: Final = "answers"
_TYPE: Final = "type ipv4_addr . inet_proto . inet_service; counter;"
# After the rules that limit bandwidth: what those drop was not carried.
_TABLE: Final = f"""\
    set {_REQUESTS} {{ {_TYPE} }}
    set {_ANSWERS} {{ {_TYPE} }}
    chain input {{
        type filter hook input priority 200; policy accept;
        ip daddr . meta l4proto . th dport @{_REQUESTS}
    }}
    chain output {{
        type filter hook output priority 200; policy accept;
        ip saddr . meta l4proto . th sport @{_ANSWERS}
    }}
"""
_KEY: Final = struct.Struct("!4sB3xH2x")
"""An address as the kernel has it; each part fills whole words."""

_NUMBERS: Final = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}


class PacketCounter:
    """The counters of one service.

    Args:
        instance: what tells the table of this service from those of others; letters and digits.
        enabled: False never touches the kernel, and counts nothing.
    """

    def __init__(self, instance: str, *, enabled: bool = True) -> None:
        self._table = f"equipoise_{instance}_packets"
        self._enabled = enabled
        # By the key of the kernel; None: what the table holds is not known.
        self._held: dict[bytes, CountedAddress] | None = None

    @property
    def is_counting(self) -> bool:
        """Whether there are metrics: not where counting is switched off or the kernel does not do it."""
        return self._enabled

    async def start(self) -> None:
        """Make the table, in place of one that a killed service left. Where that cannot be done, nothing is counted."""
        if not self._enabled:
            return
        try:
            await self._load(frozenset())
            await self._counted(_REQUESTS)
        except KernelRefusedError as error:
            self._enabled = False
            _log.info("packets_not_counted", reason=str(error), effect="in_pps and out_pps are 0")

    async def stop(self) -> None:
        """Take the table away."""
        if self._enabled:
            try:
                await carry_out(f"add table ip {self._table}\ndelete table ip {self._table}\n")
            except KernelRefusedError as error:
                _log.warning("packet_counters_left", table=self._table, reason=str(error))

    async def follow(self, addresses: Iterable[CountedAddress]) -> None:
        """Count at exactly these addresses from now on; a counter that is there goes on."""
        wanted = frozenset(addresses)
        held = None if self._held is None else frozenset(self._held.values())
        if not self._enabled or wanted == held:
            return
        try:
            if held is not None:
                await carry_out(self._change("delete", held - wanted) + self._change("add", wanted - held))
                self._held = _by_key(wanted)
                return
        except KernelRefusedError as error:
            # Somebody else took it away, by loading a firewall anew for example.
            _log.info("packet_counters_lost", table=self._table, reason=str(error), effect="they begin anew")
        try:
            await self._load(wanted)
        except KernelRefusedError as error:
            self._held = None
            _log.warning("packets_not_counted", reason=str(error), effect="in_pps and out_pps are 0")

    async def read(self) -> Packets:
        """What was counted at the addresses that are followed."""
        if not self._held:
            return {}
        try:
            requests, answers = await self._counted(_REQUESTS), await self._counted(_ANSWERS)
        except KernelRefusedError:
            # It is made again with the next look.
            self._held = None
            return {}
        return {address: (requests.get(key, 0), answers.get(key, 0)) for key, address in self._held.items()}

    async def _counted(self, of_set: str) -> Mapping[bytes, int]:
        counted: dict[bytes, int] = {}
        try:
            for some in nft_reading.packets(self._table, of_set):
                counted.update(some)
                # Others have their turn: there may be thousands.
                await asyncio.sleep(0)
        except OSError as error:
            reason = f"the kernel does not tell this service what it has counted: {error.strerror}"
            raise KernelRefusedError(reason) from error
        return counted

    async def _load(self, addresses: frozenset[CountedAddress]) -> None:
        head = f"add table ip {self._table}\ndelete table ip {self._table}\n"
        await carry_out(f"{head}table ip {self._table} {{\n{_TABLE}}}\n{self._change('add', addresses)}")
        self._held = _by_key(addresses)

    def _change(self, verb: str, addresses: Iterable[CountedAddress]) -> str:
        elements = ", ".join(f"{address} . {transport} . {port}" for address, transport, port in sorted(addresses))
        if not elements:
            return ""
        return "".join(f"{verb} element ip {self._table} {name} {{ {elements} }}\n" for name in (_REQUESTS, _ANSWERS))


def _by_key(addresses: Iterable[CountedAddress]) -> dict[bytes, CountedAddress]:
    return {
        _KEY.pack(IPv4Address(address).packed, _NUMBERS[transport], port): (address, transport, port)
        for address, transport, port in addresses
    }
