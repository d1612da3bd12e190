"""Network namespaces for services that would be on machines of their own: each has all addresses for itself.

They hang on a hub, which is a namespace as well. What runs in the hub (databases, members, clients) reaches each
machine and is reached from it; the machine itself sees none of their addresses. Nothing is bridged and nothing
is translated, so the rules of the machine for its own traffic do not matter here.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stand.service import process_is_there
from stand.waiting import eventually

HUB_NETWORK = "198.18.0.0/24"
"""All of its addresses are the hub's (RFC 2544 sets 198.18.0.0/15 apart for test stands)."""

ALL_NETWORKS = "198.18.0.0/15"

_PATH = f"{os.defpath}:/usr/sbin:/sbin"
_FOLDER = Path("/run/netns")
_PREFIX = "equipoise"
_NAME = re.compile(rf"{_PREFIX}-(\d+)-\w+")
_CLONE_NEWNET = 0x40000000
_TABLE = "cut"


class NamespacesMissing(Exception):
    """This machine cannot make them; the message says why."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """One of them, by its name, with an address at which the hub reaches it."""

    name: str
    address: str

    @property
    def through(self) -> tuple[str, ...]:
        """A command that runs another one inside; it becomes that one, with the same process id."""
        return (_program("nsenter"), f"--net={_FOLDER / self.name}")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The thread is in it, with what it starts: sockets, threads, processes. Not for coroutines."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            there = os.open(_FOLDER / self.name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _enter(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _enter(before)
        finally:
            os.close(before)

    @contextmanager
    def cut_off_from(self, address: str, port: int) -> Iterator[None]:
        """No packet passes between it and a port elsewhere, nor is anybody told."""
        rules = (
            f"table ip {_TABLE} {{"
            f" chain out {{ type filter hook output priority 0; ip daddr {address} tcp dport {port} drop; }};"
            f" chain in {{ type filter hook input priority 0; ip saddr {address} tcp sport {port} drop; }}; }}"
        )
        _run(*self.through, _program("nft"), rules)
        try:
            yield
        finally:
            _run(*self.through, _program("nft"), "delete", "table", "ip", _TABLE)


@dataclass(frozen=True, slots=True)
class Machines:
    """The hub, and a namespace for each machine."""

    hub: Namespace
    each: Sequence[Namespace]


@contextmanager
def machines(count: int) -> Iterator[Machines]:
    """Make them, and in the end take them away with every process that is left inside.

    Raises:
        NamespacesMissing: they cannot be made here.
    """
    prefix = f"{_PREFIX}-{os.getpid()}-"
    made = Machines(
        Namespace(f"{prefix}hub", _address(0, 1)),
        [Namespace(f"{prefix}{number}", _address(number, 2)) for number in range(1, count + 1)],
    )
    try:
        try:
            remove_leftovers()
            _make(made)
        except (OSError, subprocess.CalledProcessError) as error:
            said = error.stderr.decode().strip() if isinstance(error, subprocess.CalledProcessError) else ""
            raise NamespacesMissing(f"network namespaces cannot be made: {said or error}") from error
        yield made
    finally:
        for one in (*made.each, made.hub):
            _remove(one.name)


def remove_leftovers() -> None:
    """Take away what runs have left that were killed, and their processes."""
    if not _FOLDER.is_dir():
        return
    for file in _FOLDER.iterdir():
        name = _NAME.fullmatch(file.name)
        if name is not None and (int(name[1]) == os.getpid() or not process_is_there(int(name[1]))):
            _remove(file.name)


def _make(wanted: Machines) -> None:
    _ip("netns", "add", wanted.hub.name)
    _ip("-n", wanted.hub.name, "link", "set", "lo", "up")
    # The loopback interface answers for each address of its networks.
    _ip("-n", wanted.hub.name, "address", "add", f"{wanted.hub.address}/24", "dev", "lo")
    for number, one in enumerate(wanted.each, 1):
        _ip("netns", "add", one.name)
        _ip("-n", one.name, "link", "set", "lo", "up")
        here, there = f"to-{number}", "eth0"
        _ip("-n", wanted.hub.name, "link", "add", here, "type", "veth", "peer", "name", there, "netns", one.name)
        for name, address, link in (
            (wanted.hub.name, _address(number, 1), here),
            (one.name, one.address, there),
        ):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", link)
            _ip("-n", name, "link", "set", link, "up")
        _ip("-n", one.name, "route", "add", "default", "via", _address(number, 1))
        # Seen here rather than in the first fault.
        with one.cut_off_from(wanted.hub.address, 1):
            pass


def _remove(name: str) -> None:
    if not (_FOLDER / name).exists():
        return
    # Stopped ones too; whoever looks after another one may start it again meanwhile.
    eventually(lambda: not _killed_inside(name))
    _ip("netns", "delete", name)


def _killed_inside(name: str) -> list[int]:
    found = [int(pid) for pid in _ip("netns", "pids", name).split()]
    found = [pid for pid in found if pid != os.getpid() and process_is_there(pid)]
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


def _address(network: int, host: int) -> str:
    return f"198.18.{network}.{host}"


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


_LIBC = ctypes.CDLL(None, use_errno=True)


def _ip(*arguments: str) -> bytes:
    return _run(_program("ip"), *arguments)


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise FileNotFoundError(f"the program {name} is not installed")
    return found


def _run(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout
