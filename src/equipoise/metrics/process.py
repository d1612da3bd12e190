"""What processes take, from /proc. Linux only."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from equipoise.metrics import families
from equipoise.node.bootstrap import max_connections, max_sessions
from equipoise.node.guard import open_descriptors

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UNLIMITED = "unlimited"
_MOST = 2**30


class Taken(NamedTuple):
    """Seconds of CPU, bytes of memory, file descriptors open and allowed, and when it was started (since 1970)."""

    cpu: float
    memory: int
    files: int
    most_files: int
    started: float


def taken(pid: int) -> Taken | None:
    """What a process takes now; None if there is none, or if it is not ours to look into."""
    process = Path("/proc", str(pid))
    try:
        # The name of the program, in parentheses, may hold anything.
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        files = open_descriptors(pid)
        limits = (process / "limits").read_text().splitlines()
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    except OSError:
        return None
    limit = next(line for line in limits if line.startswith("Max open files")).split()[3]
    return Taken(
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
        memory=int(fields[21]) * _PAGE,
        files=files,
        # The kernel has no process with more.
        most_files=_MOST if limit == _UNLIMITED else int(limit),
        started=int(boot.split()[1]) + int(fields[19]) / _TICKS,
    )


def of_service() -> Iterator[str]:
    """The lines about this process, under the names that Prometheus' own libraries use."""
    found = taken(os.getpid())
    if found is not None:
        yield from families.CPU.lines([((), found.cpu)])
        yield from families.MEMORY.lines([((), found.memory)])
        yield from families.FILES.lines([((), found.files)])
        yield from families.MOST_FILES.lines([((), found.most_files)])
        yield from families.STARTED.lines([((), found.started)])


def of_envoy(node_id: str, pid: int | None, shortages: int) -> Iterator[str]:
    """The lines about Envoy, if one runs; `shortages` of descriptors were counted since the service was started."""
    yield from families.ENVOY_SHORTAGES.lines([((node_id,), shortages)])
    found = None if pid is None else taken(pid)
    if found is not None:
        node = (node_id,)
        yield from families.ENVOY_CPU.lines([(node, found.cpu)])
        yield from families.ENVOY_MEMORY.lines([(node, found.memory)])
        yield from families.ENVOY_FILES.lines([(node, found.files)])
        yield from families.ENVOY_MOST_FILES.lines([(node, found.most_files)])
        yield from families.ENVOY_MOST_CONNECTIONS.lines([(node, max_connections(found.most_files))])
        yield from families.ENVOY_MOST_SESSIONS.lines([(node, max_sessions(found.most_files))])
