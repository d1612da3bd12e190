"""Envoy's counters, read into the traffic of listeners. Pure; when to look is decided in `traffic`."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Listener = str
"""The id of a listener, by which Envoy names its counters."""

_STATISTIC = re.compile(
    r"^(listener|tcp|http|udp)\.([0-9a-f]{32})\.downstream_((?:cx|sess)_\w+|rq_active): (\d+)$", re.MULTILINE
)


class Figures(NamedTuple):
    """Of one listener. `active` and `idle` are connections now; the others count up from when Envoy began to."""

    active: int = 0
    idle: int = 0
    connections: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    in_packets: int = 0
    out_packets: int = 0


def from_statistics(text: str) -> dict[Listener, Figures]:
    """Read the text of `/stats?usedonly`: the figures of every listener that was ever used."""
    found: defaultdict[Listener, dict[str, int]] = defaultdict(dict)
    for layer, listener, name, value in _STATISTIC.findall(text):
        found[listener][f"{layer}.{name}"] = int(value)
    return {listener: _figures(counters) for listener, counters in found.items()}


def _figures(counters: Mapping[str, int]) -> Figures:
    def total(*names: str) -> int:
        return sum(counters.get(name, 0) for name in names)

    present = total("listener.cx_active", "udp.sess_active")
    # A connection of HTTP/1 has one request at a time; of HTTP/2 it may have several.
    over_http = any(name.startswith("http.") for name in counters)
    active = min(present, total("http.rq_active")) if over_http else present
    return Figures(
        active=active,
        idle=present - active,
        connections=total("listener.cx_total", "udp.sess_total"),
        in_bytes=total("tcp.cx_rx_bytes_total", "http.cx_rx_bytes_total", "udp.sess_rx_bytes"),
        out_bytes=total("tcp.cx_tx_bytes_total", "http.cx_tx_bytes_total", "udp.sess_tx_bytes"),
    )


def since(before: Figures, after: Figures) -> Figures:
    """What was counted in between. A counter that is lower than before began anew: then all of it counts."""
    grown = [now - was if now >= was else now for was, now in zip(before[2:], after[2:], strict=True)]
    return Figures(after.active, after.idle, *grown)


def together(each: Iterable[Figures]) -> Figures:
    """The sum of what several listeners carry."""
    return Figures(*map(sum, zip(*each, strict=True)))
