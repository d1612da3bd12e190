"""Envoys whose place was taken: they take in nothing new, keep the connections that they have, and end after a time.

Until when is written into the home of each, so that whoever comes next, service or standby, goes on from there.
"""

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from equipoise.backends.envoy.xds.parting import leave_connections_at_draining
from equipoise.node.admin import AdminUnavailableError, EnvoyAdmin
from equipoise.node.files import DataPlaneFiles
from equipoise.node.process import Process

log = structlog.get_logger("equipoise.envoy")

_PATIENCE_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 1.0

_DRAIN: Final = ("/healthcheck/fail", "/drain_listeners")
"""With the first it says `Connection: close` over HTTP from now on, with the second it stops listening at once."""

_TOLD_SECONDS: Final = 5.0
"""An Envoy that has lost its control stream looks for it once a second."""

_CONNECTIONS: Final = "/stats?filter=^server.total_connections$"
_COUNT: Final = re.compile(r"^server\.total_connections: (\d+)$", re.MULTILINE)


def begin(files: DataPlaneFiles, pid: int, seconds: float) -> None:
    """Write down that this Envoy drains for so long from now on. Raises OSError."""
    new = files.draining.with_suffix(".new")
    new.write_text(f"{pid} {_now() + seconds:.3f}\n")
    new.replace(files.draining)


def has_begun(files: DataPlaneFiles, pid: int) -> bool:
    """Whether this Envoy, and no earlier one with this home, is to drain."""
    return _until(files, pid) is not None


@dataclass(frozen=True, slots=True)
class _Retired:
    files: DataPlaneFiles
    process: Process
    task: asyncio.Task[None]


class Retirement:
    """The Envoys of one data directory that drain. To be used on one event loop."""

    def __init__(self) -> None:
        self._retired: dict[int, _Retired] = {}

    @property
    def pids(self) -> tuple[int, ...]:
        """Their processes."""
        return tuple(self._retired)

    def follow(self, files: DataPlaneFiles, process: Process, seconds: float = 0.0) -> None:
        """See to it that this one drains, and ends in time: as is written down, or after so long where nothing is."""
        task = asyncio.create_task(self._see_off(files, process, seconds), name=f"retirement of {process.pid}")
        self._retired[process.pid] = _Retired(files, process, task)

    async def end(self) -> None:
        """End them all now. May be called again."""
        await asyncio.gather(*(_end(each.files, each.process) for each in await self._leave()))

    async def release(self) -> None:
        """Leave them as they are; whoever follows them next goes on from there."""
        for each in await self._leave():
            each.process.release()

    async def _leave(self) -> list[_Retired]:
        retired, self._retired = self._retired, {}
        for each in retired.values():
            each.task.cancel()
        await asyncio.gather(*(each.task for each in retired.values()), return_exceptions=True)
        return list(retired.values())

    async def _see_off(self, files: DataPlaneFiles, process: Process, seconds: float) -> None:
        admin = EnvoyAdmin(files.admin_socket)
        until = _until(files, process.pid) or _now() + seconds
        is_told = False
        log.info("envoy_draining", pid=process.pid, seconds=round(until - _now(), 1))
        while (left := until - _now()) > 0 and not process.has_exited:
            is_told = is_told or await _tell_to_drain(files, process.pid)
            with suppress(TimeoutError):
                await asyncio.wait_for(process.exited(), min(left, _LOOK_SECONDS))
            if is_told and await _is_empty(admin):
                break
        await _end(files, process)
        self._retired.pop(process.pid, None)


async def _end(files: DataPlaneFiles, process: Process) -> None:
    await process.end(_PATIENCE_SECONDS)
    log.info("envoy_drained", pid=process.pid)
    # The data directory may have been taken away.
    with suppress(OSError):
        files.draining.unlink(missing_ok=True)
        files.remove_home()


async def _tell_to_drain(files: DataPlaneFiles, pid: int) -> bool:
    admin = EnvoyAdmin(files.admin_socket)
    try:
        if not await leave_connections_at_draining(files.xds_socket, _TOLD_SECONDS):
            log.warning("envoy_not_told_how_to_drain", pid=pid, effect="it cuts WebSockets and long answers soon")
        for path in _DRAIN:
            await admin.post(path)
        # What Envoy answers is as of the question before: so the next answer is of a time when it took in nothing.
        await admin.read(_CONNECTIONS)
    except (AdminUnavailableError, OSError, RuntimeError) as error:
        log.error("envoy_not_told_to_drain", pid=pid, reason=str(error), retry_in=_LOOK_SECONDS)
        return False
    return True


async def _is_empty(admin: EnvoyAdmin) -> bool:
    """Whether no client is connected any more, as far as is known."""
    try:
        found = _COUNT.search(await admin.read(_CONNECTIONS))
    except AdminUnavailableError:
        return False
    return found is not None and found[1] == "0"


def _now() -> float:
    """Seconds since the machine was started: the same for all processes, and nobody sets it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _until(files: DataPlaneFiles, pid: int) -> float | None:
    """Until when this Envoy may drain, in the time of `_now`; None: that is not written down of it."""
    try:
        of, until = files.draining.read_text().split()
        return float(until) if int(of) == pid else None
    except (OSError, ValueError):
        return None
