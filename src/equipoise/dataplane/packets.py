"""Counts the packets of listeners in the kernel, as Envoy sees bytes only. Linux with nftables and the right to use it.

The table belongs to one service and holds two sets: places (address, transport, port) by which packets come in, and
go out, each with a counter. Nothing is ever dropped by it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from equipoise.dataplane.nft import KernelRefusedError, carry_out

_log = structlog.get_logger("equipoise.packets")

Place = tuple[str, str, int]
"""Address, transport (tcp or udp) and port."""

Packets = Mapping[Place, tuple[int, int]]
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
_ELEMENT: Final = re.compile(r"([\d.]+) \. (tcp|udp) \. (\d+) counter packets (\d+)")


class PacketCounter:
    """The counters of one service.

    Args:
        instance: what tells the table of this service from those of others; letters and digits.
        enabled: False never touches the kernel, and counts nothing.
    """

    def __init__(self, instance: str, *, enabled: bool = True) -> None:
        self._table = f"equipoise_{instance}_packets"
        self._enabled = enabled
        self._held: frozenset[Place] | None = None

    @property
    def is_counting(self) -> bool:
        """Whether there are figures: not where counting is switched off or the kernel does not do it."""
        return self._enabled

    async def start(self) -> None:
        """Make the table, in place of one that a killed service left. Where that cannot be done, nothing is counted."""
        if not self._enabled:
            return
        try:
            await self._load(())
        except KernelRefusedError as error:
            self._enabled = False
            _log.info("packets not counted", reason=str(error), effect="in_pps and out_pps are 0")

    async def stop(self) -> None:
        """Take the table away."""
        if self._enabled:
            try:
                await carry_out(f"add table ip {self._table}\ndelete table ip {self._table}\n")
            except KernelRefusedError as error:
                _log.warning("packet counters left", table=self._table, reason=str(error))

    async def follow(self, places: Iterable[Place]) -> None:
        """Count at exactly these places from now on; a counter that is there goes on."""
        wanted = frozenset(places)
        if not self._enabled or wanted == self._held:
            return
        try:
            if self._held is not None:
                await carry_out(self._change("delete", self._held - wanted) + self._change("add", wanted - self._held))
                self._held = wanted
                return
        except KernelRefusedError as error:
            # Somebody else took it away, by loading a firewall anew for example.
            _log.info("packet counters lost", table=self._table, reason=str(error), effect="they begin anew")
        try:
            await self._load(wanted)
        except KernelRefusedError as error:
            self._held = None
            _log.warning("packets not counted", reason=str(error), effect="in_pps and out_pps are 0")

    async def read(self) -> Packets:
        """What was counted at the places that are followed."""
        if not self._held:
            return {}
        try:
            text = await carry_out(f"list table ip {self._table}\n")
        except KernelRefusedError:
            # It is made again with the next change of places, and at once by this.
            self._held = None
            return {}
        requests, _, answers = text.partition(f"set {_ANSWERS} {{")
        out = dict(_counted(answers))
        return {place: (number, out.get(place, 0)) for place, number in _counted(requests)}

    async def _load(self, places: Iterable[Place]) -> None:
        held = frozenset(places)
        head = f"add table ip {self._table}\ndelete table ip {self._table}\n"
        await carry_out(f"{head}table ip {self._table} {{\n{_TABLE}}}\n{self._change('add', held)}")
        self._held = held

    def _change(self, verb: str, places: Iterable[Place]) -> str:
        elements = ", ".join(f"{address} . {transport} . {port}" for address, transport, port in sorted(places))
        if not elements:
            return ""
        return "".join(f"{verb} element ip {self._table} {name} {{ {elements} }}\n" for name in (_REQUESTS, _ANSWERS))


def _counted(text: str) -> Iterable[tuple[Place, int]]:
    for address, transport, port, packets in _ELEMENT.findall(text):
        yield (address, transport, int(port)), int(packets)
