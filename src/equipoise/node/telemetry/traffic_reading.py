"""Envoy's counters, read into the traffic of listeners and members. Pure; when to look is decided in `traffic`."""

import re
from collections.abc import Sequence
from operator import sub
from typing import Final, NamedTuple

from equipoise.core.traffic import RESPONSE_TIMES
from equipoise.proxy.link import Member

Listener = str
"""The id of a listener, by which Envoy names its counters."""

# Each begins with a text that is looked for as such, which is several times faster than a pattern.
_STATISTIC = re.compile(r"\nenvoy_([a-z]+_)([0-9a-f]{32})(_\S+) (\d+)")
_MEMBER = "::cx_active::"
_CLUSTER = "::observability_name::"


class ListenerCounts(NamedTuple):
    """Of one listener. `active` and `idle` are connections now; the others count up from when Envoy began to.

    `refused` are connections that were turned away and sessions of UDP that could not begin; `answers_1xx` to `_5xx`
    are responses over HTTP by the class of their status. `within` a number of milliseconds (`RESPONSE_TIMES`) came so
    many of the `timed` responses, each counted with every bound that it kept; `milliseconds` is what all took together.
    """

    active: int = 0
    idle: int = 0
    connections: int = 0
    refused: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    answers_1xx: int = 0
    answers_2xx: int = 0
    answers_3xx: int = 0
    answers_4xx: int = 0
    answers_5xx: int = 0
    within_5: int = 0
    within_25: int = 0
    within_100: int = 0
    within_500: int = 0
    within_2500: int = 0
    within_10000: int = 0
    timed: int = 0
    milliseconds: int = 0
    in_packets: int = 0
    out_packets: int = 0


LEVELS: Final = 2
_PACKETS: Final = 2
"""How many fields stand first that are no counters, and last that are counted by the kernel."""


class MemberCounts(NamedTuple):
    """Of one member. `active` connections and `active_requests` are those now; the others count up.

    `failed_connections` could not be made; `successful_requests` were answered with a status below 500.
    """

    active: int = 0
    active_requests: int = 0
    connections: int = 0
    failed_connections: int = 0
    requests: int = 0
    successful_requests: int = 0


class Statistics:
    """Reads the text of `/stats?usedonly&format=prometheus` in pieces, each of whole lines."""

    def __init__(self) -> None:
        self._rows: dict[Listener, list[int]] = {}

    def add(self, text: str) -> None:
        """Take in one piece."""
        rows, columns = self._rows, _COLUMNS
        for layer, listener, name, value in _STATISTIC.findall(f"\n{text}"):
            column = columns.get(layer + name)
            if column is not None:
                row = rows.get(listener)
                if row is None:
                    row = rows[listener] = [0] * _WIDTH
                row[column] += int(value)

    def counts(self) -> dict[Listener, ListenerCounts]:
        """The metrics of every listener that was ever used."""
        return {listener: _counts(*row) for listener, row in self._rows.items()}


def _counts(present: int, requests: int, http_connections: int, *counted: int) -> ListenerCounts:
    # A connection of HTTP/1 has one request at a time; of HTTP/2 it may have several.
    active = min(present, requests) if http_connections else present
    return ListenerCounts(active, present - active, *counted)


_ENVOYS: Final = (
    ("listener_downstream_cx_active", "udp_downstream_sess_active"),
    ("http_downstream_rq_active",),
    ("http_downstream_cx_total",),
    ("listener_downstream_cx_total", "udp_downstream_sess_total"),
    (
        "listener_downstream_cx_overflow",
        "listener_downstream_global_cx_overflow",
        "listener_downstream_cx_overload_reject",
        "cluster_upstream_cx_overflow",
    ),
    ("tcp_downstream_cx_rx_bytes_total", "http_downstream_cx_rx_bytes_total", "udp_downstream_sess_rx_bytes"),
    ("tcp_downstream_cx_tx_bytes_total", "http_downstream_cx_tx_bytes_total", "udp_downstream_sess_tx_bytes"),
    *((f"http_downstream_rq_{digit}xx",) for digit in range(1, 6)),
    *((f'http_downstream_rq_time_bucket{{le="{bound}"}}',) for bound in RESPONSE_TIMES),
    ("http_downstream_rq_time_count",),
    ("http_downstream_rq_time_sum",),
)
"""The metrics of Envoy added up to each argument of `_counts`; its counters in the order of `ListenerCounts`."""

_WIDTH: Final = len(_ENVOYS)
_COLUMNS: Final = {
    (name if "{" in name else f"{name}{{}}").replace("_", "__", 1): column
    for column, names in enumerate(_ENVOYS)
    for name in names
}
"""By what the pattern finds around the id: `listener_` and `_downstream_cx_total{}`."""


class MemberStatistics:
    """Reads the text of `/clusters` in pieces, each of whole lines."""

    def __init__(self) -> None:
        self._rest = ""
        self._counts: dict[Member, MemberCounts] = {}

    def add(self, text: str) -> None:
        """Take in one piece."""
        text = self._rest + text
        # What comes after the beginning of the last cluster may not be whole.
        begin = text.rfind("\n", 0, max(0, text.rfind(_CLUSTER))) + 1
        self._rest = text[begin:]
        self._read(text[:begin])

    def counts(self) -> dict[Member, MemberCounts]:
        """The metrics of every member that was ever used; to be asked for after the last piece."""
        self._read(self._rest)
        self._rest = ""
        return self._counts

    def _read(self, text: str) -> None:
        before, *others = text.split(_MEMBER)
        for after in others:
            listener, _, place = before[before.rfind("\n") + 1 :].partition("::")
            # cx_active, cx_connect_fail, cx_total, rq_active, rq_error, rq_pending_active, rq_success, rq_timeout,
            # rq_total, in this order. The control stream's own cluster is no listener's.
            if len(listener) == _ID_LENGTH:
                first, *lines = after.split("\n", 9)
                failed, total, active, _, _, success, _, requests = map(_value, lines[:8])
                counts = MemberCounts(int(first), active, total, failed, requests, success)
                # Of thousands most may never have been used: they need not be kept to be known.
                if any(counts):
                    self._counts[listener, place.rpartition(":")[0]] = counts
            before = after


_ID_LENGTH: Final = 32


def _value(line: str) -> int:
    return int(line.rpartition("::")[2])


def since(before: ListenerCounts, after: ListenerCounts) -> ListenerCounts:
    """What was counted in between. If any of Envoy's counters is lower than before, Envoy began anew: then all of what
    it counted counts. Packets are counted elsewhere, and begin anew by themselves."""
    grown = tuple(map(sub, after, before))
    if min(grown[LEVELS:]) >= 0:
        return ListenerCounts(*after[:LEVELS], *grown[LEVELS:])
    packets = (
        new if grown_by < 0 else grown_by for new, grown_by in zip(after[-_PACKETS:], grown[-_PACKETS:], strict=True)
    )
    by_envoy = slice(LEVELS, -_PACKETS)
    return ListenerCounts(*after[:LEVELS], *(after if min(grown[by_envoy]) < 0 else grown)[by_envoy], *packets)


def since_of_member(before: MemberCounts, after: MemberCounts) -> MemberCounts:
    """What was counted in between, as `since`."""
    grown = tuple(map(sub, after, before))
    return MemberCounts(*after[:LEVELS], *(after if min(grown[LEVELS:]) < 0 else grown)[LEVELS:])


def together(each: Sequence[ListenerCounts]) -> ListenerCounts:
    """The sum of what listeners carry, one at least."""
    return each[0] if len(each) == 1 else ListenerCounts(*map(sum, zip(*each, strict=True)))
