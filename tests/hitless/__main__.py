"""`make hitless`: traffic of every kind beside changes of every kind, and what became of every request."""

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop
from rich.console import Console
from rich.table import Table

from stand import Service, eventually, running_service
from tests.hitless.changes import all_changes
from tests.hitless.member import Members
from tests.hitless.outages import many, recovery, without_service
from tests.hitless.run import CUT_AFTER, Row, run, scene

SETTINGS = (
    "addresses.external=127.236.0.0/16",
    "quotas.elb=1000000",
    "quotas.listener=1000000",
    "quotas.member=1000000",
    "jobs.busy_mark=0",
)


def main() -> int:
    """Run as the arguments say; the exit status is 1 when a change cost a request that it is not about."""
    parser = argparse.ArgumentParser(prog="make hitless", description=__doc__)
    parser.add_argument("--changes", type=int, default=500, help="of each kind, 50 in a second (default 500)")
    parser.add_argument("--clients", type=int, default=2, help="of each kind of traffic (default 2)")
    parser.add_argument("--only", default="", help="only kinds of change with this in their name")
    parser.add_argument("--outage", type=float, default=60.0, help="seconds without the service (default 60)")
    parser.add_argument("--many", type=int, default=500, help="load balancers when Envoy is killed (default 500)")
    parser.add_argument("--part", choices=["changes", "outages"], help="only this part")
    options = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    well = True
    if options.part != "outages":
        well &= _changes(console, options)
    if options.part != "changes":
        well &= _outages(console, options)
    return 0 if well else 1


def _changes(console: Console, options: argparse.Namespace) -> bool:
    """Whether no change harmed traffic that it is not about."""
    changes = [change for change in all_changes() if options.only in change.name]
    with (
        TemporaryDirectory(prefix="equipoise-hitless-") as folder,
        running_service(Path(folder) / "data", *SETTINGS) as service,
    ):
        rows = uvloop.run(run(service, changes, options.changes, options.clients, settle=CUT_AFTER))
    console.print(table(rows))
    harmed = harm(rows)
    for (change, kind, what), number in harmed.items():
        console.print(f"{change}: {kind}: {number} x {what}")
    return all(kind in row.change.about for row in rows for kind in _failing(row))


def _outages(console: Console, options: argparse.Namespace) -> bool:
    """Whether the service could be gone without a loss."""
    with (
        TemporaryDirectory(prefix="equipoise-hitless-") as folder,
        running_service(Path(folder) / "data", *SETTINGS) as service,
    ):
        outage = uvloop.run(without_service(service, options.outage))
        shown = Table(title=f"The service killed for {options.outage:g} s: requests / failures", title_justify="left")
        for kind in outage.requests:
            shown.add_column(kind, justify="right")
        shown.add_row(*(f"{outage.requests[kind]:,} / {len(outage.failures[kind])}" for kind in outage.requests))
        console.print(shown)
        console.print(f"{outage.queued} changes accepted before: in force {outage.in_force_after:.2f} s after `ready`")
        for what, seconds in uvloop.run(_recoveries(service, options.many)).items():
            console.print(f"{what}, {options.many} load balancers: all serve after {seconds:.2f} s")
    return not any(outage.failures.values())


async def _recoveries(service: Service, number: int) -> dict[str, float]:
    async with Members(6) as members, scene(service, members) as (found, _):
        places = await many(found, number)
        times = {}
        for turn in (1, 2, 3):
            times[f"Envoy killed ({turn})"] = await recovery(places, service.envoy_pid)
        service.kill()
        log = service.data_dir / "log" / "standby.log"
        eventually(lambda: log.exists() and "envoy_taken_over" in log.read_text())
        for turn in (1, 2, 3):
            times[f"Envoy killed without a service ({turn})"] = await recovery(places, service.envoy_pid)
        service.start()
        envoy = service.envoy_pid
        service.signal(signal.SIGKILL)
        times["Envoy and service killed together"] = await recovery(places, envoy)
        service.wait()
        service.start()
    return times


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
