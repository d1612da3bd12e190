"""Envoys that run: which there are in a directory, and how one differs from what would be started now.

What counts is what a process is, not how it is called: its binary by content, its bootstrap by meaning. So an Envoy is
the same one although the service that looks for it is installed in another folder.
"""

import filecmp
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from equipoise.node import handover

BINARY: Final = "envoy"

_CONFIG: Final = "--config-path"


def envoys_in(home: Path) -> Iterator[int]:
    """The processes that run Envoy and work in this directory; none if it is not there."""
    try:
        folder = home.stat()
    except FileNotFoundError:
        return
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    yield from (pid for pid in numbers if is_envoy_in(pid, folder))


def is_envoy_in(pid: int, folder: os.stat_result) -> bool:
    """Whether this process runs Envoy and works in the directory with this status."""
    process = Path("/proc", str(pid))
    try:
        # Of a binary that an upgrade replaced the kernel says "envoy (deleted)".
        is_envoy = (process / "exe").readlink().name.split()[0] == BINARY
        return is_envoy and os.path.samestat((process / "cwd").stat(), folder)
    except OSError:
        # Gone meanwhile, a zombie, or somebody else's.
        return False


def difference(pid: int, home: Path, command: Sequence[str], config: bytes) -> str | None:
    """How a running Envoy differs from what this command and bootstrap would start; None: not in effect. Blocks.

    `home` is where it works. One that is just ending differs in nothing: its own end will be noticed.
    """
    process = Path("/proc", str(pid))
    try:
        words = (process / "cmdline").read_bytes().decode().split("\0")[:-1]
        if not words:
            return None
        if _options(words) != _options(command):
            return "it was started with other options"
        if _bootstrap(home / words[words.index(_CONFIG) + 1]) != json.loads(config):
            return "it has another bootstrap"
        return None if _is_same(process / "exe", Path(command[0])) else "it is of another version"
    except (FileNotFoundError, ProcessLookupError):
        return None


def _options(command: Sequence[str]) -> list[str]:
    """All options, but for the binary, where the bootstrap is, and what is about the start itself."""
    kept: list[str] = []
    words = iter(command[1:])
    for word in words:
        if word in (_CONFIG, *handover.OPTIONS):
            next(words, None)
        elif word not in handover.FLAGS:
            kept.append(word)
    return kept


def _bootstrap(file: Path) -> object:
    """What is in it; None if nobody can tell any more, which is as good as another one."""
    try:
        return json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _is_same(running: Path, file: Path) -> bool:
    # The kernel keeps what runs, whatever happened to the file it came from.
    return running.samefile(file) or filecmp.cmp(running, file, shallow=False)
