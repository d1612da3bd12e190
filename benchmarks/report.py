"""The results as tables for people and as JSON for programs."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.growth import Growth
from benchmarks.latency import Latency
from benchmarks.measure import Summary, Verdict
from benchmarks.memory import Memory


@dataclass
class Results:
    """What was measured in one run; None or empty where it was left out."""

    latency: Latency | None = None
    growth: Growth | None = None
    memory: list[Memory] = field(default_factory=list)

    def verdicts(self) -> list[Verdict]:
        """One for each target. Of memory only the first look counts: the stand at rest."""
        found = [each.verdict() for each in (self.latency, self.growth) if each is not None]
        return found + [each.verdict() for each in self.memory[:1]]


def write_json(results: Results, path: Path) -> None:
    """Everything, with the verdicts."""
    verdicts = [asdict(each) | {"met": each.met} for each in results.verdicts()]
    path.write_text(json.dumps(asdict(results) | {"verdicts": verdicts}, indent=2) + "\n")


def show(console: Console, results: Results) -> None:
    """The tables, the targets last."""
    if results.latency is not None:
        latency = results.latency
        rows = [
            ("GET /healthz", latency.healthz),
            ("createMember accepted", latency.accepted),
            ("createMember in force", latency.in_force),
        ]
        console.print(_timings("A change until it is in force", rows, latency.healthz.median))
    if results.growth is not None:
        growth = results.growth
        rows = [
            (f"around number {growth.early_position}", growth.early),
            (f"around number {growth.late_position:,}", growth.late),
        ]
        console.print(_timings("Creating a load balancer with a listener", rows, growth.early.median))
    for memory in results.memory:
        console.print(memory_table(memory))
    console.print(verdicts_table(results.verdicts()))


def _timings(title: str, rows: Iterable[tuple[str, Summary]], base: float) -> Table:
    table = titled(title)
    table.add_column("milliseconds")
    for name in ("count", "median", "90 %", "least", "most", "ratio"):
        table.add_column(name, justify="right")
    for name, each in rows:
        figures = (f"{value:.2f}" for value in (each.median, each.p90, each.least, each.most))
        table.add_row(name, str(each.count), *figures, f"{each.median / base:.1f}")
    return table


def memory_table(memory: Memory) -> Table:
    """MiB of each process and together."""
    table = titled(f"Memory, {memory.when}")
    table.show_footer = True
    table.add_column("process", footer="together")
    table.add_column("PSS, MiB", justify="right", footer=f"{memory.total:.1f}")
    for name, size in memory.processes.items():
        table.add_row(name, f"{size:.1f}")
    return table


def verdicts_table(verdicts: Iterable[Verdict]) -> Table:
    """What was measured against its targets."""
    table = titled("Targets")
    for name in ("target", "measured", "at most", ""):
        table.add_column(name, justify="left" if name in {"target", ""} else "right")
    for each in verdicts:
        verdict = "[green]met[/]" if each.met else "[bold red]missed[/]"
        table.add_row(each.what, f"{each.measured:.2f} {each.unit}", f"{each.at_most:.2f} {each.unit}", verdict)
    return table


def titled(title: str) -> Table:
    """A table as all benchmarks show it, without columns."""
    return Table(title=title, title_justify="left", title_style="bold", min_width=60)
