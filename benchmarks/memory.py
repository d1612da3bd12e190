"""What the processes of a stand weigh: proportional set size, in which shared pages are counted once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.measure import Verdict
from stand import Service

_AT_MOST_MIB: Final = 250.0


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB by process."""

    when: str
    processes: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.processes.values())

    def of(self, program: str) -> float:
        """The processes of this program together."""
        return sum(size for name, size in self.processes.items() if name.split()[0] == program)

    def verdict(self) -> Verdict:
        """All processes together."""
        return Verdict("memory (PSS) of all processes", self.total, _AT_MOST_MIB, "MiB")


def measure_memory(service: Service, when: str) -> Memory:
    """The service and all of its descendants now. A process is named by its program and number."""
    return Memory(when, {f"{_name(pid)} ({pid})": _pss(pid) for pid in family(service.pid)})


def family(pid: int) -> list[int]:
    """A process and all of its descendants."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [pid, *(descendant for child in children for descendant in family(child))]


def _name(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    names = [Path(word.decode(errors="replace")).name for word in words]
    if not names[0].startswith("python"):
        return names[0]
    return names[2] if names[1] == "-m" else names[1]


def _pss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss of process {pid}")
