"""What the demo looks like. On a terminal with colours and a progress bar; elsewhere the same as plain lines."""

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

_COLOURS: Final = ("cyan", "magenta")
_BAR_CELLS: Final = 30
_TITLE_CELLS: Final = 28
_PLAIN_WIDTH: Final = 100


@dataclass
class Step:
    """One step of the walk; its author fills in `result`, the clock `seconds`."""

    title: str
    result: str = ""
    seconds: float = 0.0


class _Console(Console):
    """A console that falls silent when nobody reads any more: the demo still has to clean up."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        # What Python flushes at its end must not raise either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Screen:
    """Prints the demo, step by step.

    Args:
        steps: how many there will be.
    """

    def __init__(self, steps: int = 7) -> None:
        on_terminal = sys.stdout.isatty()
        self._console = _Console(
            # Whatever the environment says about colours: a file or pipe gets none.
            force_terminal=on_terminal,
            width=None if on_terminal else _PLAIN_WIDTH,
            highlight=False,
        )
        self._plain = self._console.is_dumb_terminal or not on_terminal
        self._mark = "✓" if self._console.encoding.startswith("utf") else "ok"
        self._steps: list[Step] = []
        self._progress = Progress(
            SpinnerColumn(style="cyan"),
            TextColumn("{task.description}"),
            BarColumn(_BAR_CELLS, complete_style="cyan", finished_style="cyan"),
            MofNCompleteColumn(),
            console=self._console,
            transient=True,
            disable=self._plain,
        )
        self._task = self._progress.add_task("", total=steps)

    def introduction(self) -> None:
        """What this is, before anything happens."""
        self._print(
            Text("Equipoise demo", style="bold"),
            "A load balancer service with Envoy as its data plane, and two HTTP servers to",
            "balance between. All on loopback addresses and in a temporary folder: nothing",
            "of it stays on this machine.",
            "",
        )

    @contextmanager
    def progress(self) -> Iterator[None]:
        """Show the bar within the block, below what is printed."""
        with self._progress:
            yield

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step as under way, and as done with its result and time when the block ends."""
        step = Step(title)
        self._progress.update(self._task, description=title)
        started = time.perf_counter()
        yield step
        step.seconds = time.perf_counter() - started
        self._steps.append(step)
        self._progress.advance(self._task)
        self._print(Text.assemble((f" {self._mark} ", "bold green"), f"{title:<{_TITLE_CELLS}} ", (step.result, "dim")))

    def requests(self, answers: Sequence[str]) -> None:
        """Which backend answered each request."""
        names = sorted(set(answers))
        table = _table()
        table.add_column("request", justify="right")
        for name, colour in zip(names, cycle(_COLOURS), strict=False):
            table.add_column(name, style=colour)
        for number, answer in enumerate(answers, start=1):
            table.add_row(str(number), *("answered" if name == answer else "" for name in names))
        self._section("Who answered", table)

    def document(self, title: str, value: Any) -> None:
        """A JSON document."""
        text = json.dumps(value, indent=2, ensure_ascii=False)
        shown = Text(text) if self._plain else Syntax(text, "json", theme="ansi_dark", background_color="default")
        self._section(title, shown)

    def timings(self) -> None:
        """How long each step took."""
        total = sum(step.seconds for step in self._steps)
        table = _table(show_footer=True)
        table.add_column("step", footer="together")
        table.add_column("milliseconds", justify="right", footer=f"{total * 1000:,.1f}")
        for step in self._steps:
            table.add_row(step.title, f"{step.seconds * 1000:,.1f}")
        self._section("How long each step took", table)

    def invitation(self, lines: Sequence[tuple[str, str]], closing: str) -> None:
        """What can be done with the stand now: a heading and a line to copy each."""
        self._heading("The stand is running, and it is yours")
        for heading, line in lines:
            self._print(Text(f"  {heading}"), Text(f"    {line}", style="bold cyan"))
        self._print(Text(""), Text(f"  {closing}", style="bold"))

    def ending(self, text: str) -> None:
        """A last word."""
        self._print(Text(text, style="dim"))

    def failure(self, what: str, remedy: str, evidence: str) -> None:
        """What went wrong, and what to do about it."""
        if evidence:
            self._print(Text(evidence, style="dim"), "")
        text = Text.assemble(what, "\n", (remedy, "bold"))
        if self._plain:
            self._print(Text("Failed: ") + text)
        else:
            self._print(Panel(text, title="Failed", title_align="left", border_style="red"))

    def _section(self, title: str, content: RenderableType) -> None:
        self._heading(title)
        self._print(Padding(content, (0, 0, 0, 2), expand=False))

    def _heading(self, title: str) -> None:
        plain = Text(title)
        self._print(Text(""), plain if self._plain else Rule(Text(title, style="bold"), align="left", style="dim"))

    def _print(self, *parts: RenderableType) -> None:
        try:
            for part in parts:
                # A line that is to be copied must not be broken by the width of the terminal.
                self._console.print(part, soft_wrap=isinstance(part, Text))
        except OSError:
            # The terminal has gone. `ending` notices, too, and ends the demo.
            self._console.quiet = True


def _table(*, show_footer: bool = False) -> Table:
    return Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", show_footer=show_footer)
