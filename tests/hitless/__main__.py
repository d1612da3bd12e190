"""`make hitless`: traffic of every kind beside changes of every kind, and what became of every request."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from rich.console import Console
from rich.table import Table

from tests.hitless.changes import all_changes
from tests.hitless.run import CUT_AFTER, Row, run
from tests.stand import running_service

SETTINGS = ("quotas.elb=1000000", "quotas.listener=1000000", "quotas.member=1000000", "jobs.busy_mark=0")


def main() -> int:
    """Run as the arguments say; the exit status is 1 when a change cost a request that it is not about."""
    parser = argparse.ArgumentParser(prog="make hitless", description=__doc__)
    parser.add_argument("--changes", type=int, default=500, help="of each kind, 50 in a second (default 500)")
    parser.add_argument("--clients", type=int, default=2, help="of each kind of traffic (default 2)")
    parser.add_argument("--only", default="", help="only kinds of change with this in their name")
    options = parser.parse_args()
    changes = [change for change in all_changes() if options.only in change.name]
    with (
        TemporaryDirectory(prefix="equipoise-hitless-") as folder,
        running_service(Path(folder) / "data", *SETTINGS) as service,
    ):
        rows = uvloop.run(run(service, changes, options.changes, options.clients, settle=CUT_AFTER))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table(rows))
    harmed = harm(rows)
    for (change, kind, what), number in harmed.items():
        console.print(f"{change}: {kind}: {number} x {what}")
    return 1 if any(kind not in row.change.about for row in rows for kind in _failing(row)) else 0


def table(rows: Sequence[Row]) -> Table:
    """Requests and failures by kind of change and of traffic; connections that HTTP ended politely behind a plus."""
    shown = Table(title="Requests / failures", title_justify="left")
    shown.add_column("change")
    shown.add_column("made", justify="right")
    shown.add_column("per second", justify="right")
    for kind in rows[0].cells:
        shown.add_column(kind, justify="right")
    for row in rows:
        cells = (
            f"{cell.requests:,} / {len(cell.failures)}" + (f" +{cell.farewells}" if cell.farewells else "")
            for cell in row.cells.values()
        )
        shown.add_row(row.change.name, str(row.changes), f"{row.per_second:.0f}", *cells)
    return shown


def harm(rows: Sequence[Row]) -> Counter[tuple[str, str, str]]:
    """What failed: how often, by change, traffic and cause."""
    return Counter(
        (row.change.name, kind, failure.what)
        for row in rows
        for kind, cell in row.cells.items()
        for failure in cell.failures
    )


def _failing(row: Row) -> list[str]:
    return [kind for kind, cell in row.cells.items() if cell.failures]


if __name__ == "__main__":
    sys.exit(main())
