"""The limits of this machine that bound how much traffic it can carry: which are low, what that means, what to do."""

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from equipoise.node.bootstrap import max_connections, max_sessions

ENOUGH_DESCRIPTORS: Final = 65_536
"""Below that a crowd of ordinary size is turned away: 65,536 let 19,660 connections in."""

ENOUGH_BACKLOG: Final = 4_096
"""As long is the queue that Envoy asks for at each listener."""

_BACKLOG: Final = Path("/proc/sys/net/core/somaxconn")


class MachineLimits(NamedTuple):
    """What this process and its Envoy may take. `backlog` None: the machine does not tell."""

    descriptors: int
    backlog: int | None


@dataclass(frozen=True, slots=True)
class Low:
    """A limit that is low: its name, its value, what follows from it and what to do."""

    limit: str
    value: int
    effect: str
    remedy: str


def limits() -> MachineLimits:
    """As they are now. Envoy is given the hard limit of descriptors."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        backlog = int(_BACKLOG.read_text())
    except (OSError, ValueError):
        # Some containers hide it.
        return MachineLimits(descriptors, None)
    return MachineLimits(descriptors, backlog)


def low(found: MachineLimits) -> Iterator[Low]:
    """Those that a machine for real traffic should have higher."""
    if found.descriptors < ENOUGH_DESCRIPTORS:
        yield Low(
            "file descriptors (hard limit)",
            found.descriptors,
            f"at most {max_connections(found.descriptors)} connections of clients and "
            f"{max_sessions(found.descriptors)} sessions of UDP at a time, in all; what comes beyond is refused",
            "LimitNOFILE=1048576 in the unit of systemd, or ulimit -Hn 1048576 before the start",
        )
    if found.backlog is not None and found.backlog < ENOUGH_BACKLOG:
        yield Low(
            "net.core.somaxconn",
            found.backlog,
            "of a burst of new connections some are dropped, and come again a second later",
            f"sysctl net.core.somaxconn={ENOUGH_BACKLOG}",
        )
