"""What a second service on one PostgreSQL brings and costs: `python -m benchmarks.several`, or `make bench-several`.

Two stands run beside each other and are measured in turns: one service, and two services that share a database. Each
service has a network namespace of its own, as if on a machine of its own. All services share the cores of this machine
with their Envoys, PostgreSQL and the clients, so processor time says more than operations per second.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click
from rich.console import Console

from benchmarks.across import Place, Way, changes, news
from benchmarks.client import BenchmarkError
from benchmarks.crowd import CLIENTS, Counted, Crowd
from benchmarks.measure import Compared, Figures, Summary, Verdict, compared
from benchmarks.report import titled, verdicts_table
from benchmarks.sides import POSTGRES_SETTINGS, Side, start
from equipoise.client import ClientError
from stand import Backends, running_backends
from stand.namespaces import ALL_NETWORKS, NamespacesMissing, machines
from stand.postgres import running_postgres

_THE_OTHER_SERVES: Final = "the node of the other service serves it"
_THE_OTHER_TELLS: Final = "?wait at the other service"
_AT_MOST_MS: Final = 20.0
_BACKENDS: Final = "198.18.0.16/28"
"""A part of `stand.namespaces.HUB_NETWORK`, which all services reach."""


@dataclass(frozen=True, slots=True)
class Results:
    """What was measured in one run.

    Attributes:
        load: by operation and figure.
        delays: milliseconds.
        statements: by operation, of one service and of two.
    """

    load: Mapping[str, Mapping[str, Compared]]
    delays: Mapping[str, Summary]
    statements: Mapping[str, tuple[Counted, Counted]]

    def verdicts(self) -> list[Verdict]:
        """One for each target."""
        return [
            Verdict(f"{name}, median", delay.median, _AT_MOST_MS, "ms")
            for name, delay in self.delays.items()
            if name.endswith((_THE_OTHER_SERVES, _THE_OTHER_TELLS))
        ]


@click.command()
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1), help="Of one service and two in turns.")
@click.option("--seconds", default=2.0, show_default=True, help="For each operation in a round.")
@click.option(
    "--changes", "number", default=200, show_default=True, type=click.IntRange(2), help="Single changes of each kind."
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there.")
def main(rounds: int, seconds: float, number: int, json_file: Path | None) -> None:
    """Measure services of its own, on this machine, and say which targets are met."""
    console = Console(highlight=False)
    try:
        with TemporaryDirectory(prefix="equipoise-several-") as name, ExitStack() as running:
            networks = running.enter_context(machines(3))
            running.enter_context(networks.hub.inside())
            server = running.enter_context(running_postgres(networks.hub.address, ALL_NETWORKS, POSTGRES_SETTINGS))
            one = start(running, Path(name) / "one", server, networks.each[:1])
            two = start(running, Path(name) / "two", server, networks.each[1:])
            backends = running.enter_context(running_backends(1, _BACKENDS))
            results = asyncio.run(_measure(console, one, two, backends, rounds, seconds, number))
    except (BenchmarkError, ClientError, OSError, NamespacesMissing) as error:
        raise click.ClickException(f"No result: {error or type(error).__name__}") from error
    _show(console, results)
    if json_file is not None:
        verdicts = [asdict(each) | {"met": each.met} for each in results.verdicts()]
        json_file.write_text(json.dumps(asdict(results) | {"verdicts": verdicts}, indent=2) + "\n")


async def _measure(
    console: Console, one: Side, two: Side, backends: Backends, rounds: int, seconds: float, number: int
) -> Results:
    crowds = [await Crowd.of(side) for side in (one, two)]
    names = list(crowds[0].operations)
    with console.status("Counting statements"):
        idle = [await crowd.idle_statements() for crowd in crowds]
        statements = {
            name: (await crowds[0].statements(name, idle[0]), await crowds[1].statements(name, idle[1]))
            for name in names
        } | {"a second at rest": (idle[0], idle[1])}
    with console.status("Making single changes"):
        delays = await _delays(one, two, backends, number)
    turns: dict[str, list[tuple[Figures, Figures]]] = {name: [] for name in names}
    for turn in range(rounds):
        with console.status(f"Asking with many clients, round {turn + 1} of {rounds}"):
            for name, found in turns.items():
                found.append((await crowds[0].load(name, seconds), await crowds[1].load(name, seconds)))
    return Results({name: compared(found) for name, found in turns.items()}, delays, statements)


async def _delays(one: Side, two: Side, backends: Backends, number: int) -> dict[str, Summary]:
    alone, shared = [await Place.on(side, backends) for side in (one, two)]
    found: dict[str, Summary] = {}
    for what, of_one, of_two in (
        ("a listener", alone.create_listener, shared.create_listener),
        ("a member", alone.add_member, shared.add_member),
    ):
        ways = (Way(one, of_one), Way(two, of_two), Way(two, of_two, elsewhere=True))
        single, here, there = await changes(ways, number)
        found |= {
            f"{what}, one service: its node serves it": single.served,
            f"{what}, one service: told to be in force": single.answered,
            f"{what}, one service: job from RUNNING to SUCCESS": single.running,
            f"{what}, two: the node of the service that was asked serves it": here.served,
            f"{what}, two: {_THE_OTHER_SERVES}": there.served,
            f"{what}, two: told to be in force on both": there.answered,
            f"{what}, two: job from RUNNING to SUCCESS": there.running,
        }
    end = await news(two, number)
    return found | {
        "end of a job, two: ?wait at the service that ended it": end.at_the_same,
        f"end of a job, two: {_THE_OTHER_TELLS}": end.at_the_other,
        "end of a job, two: the difference": end.between,
    }


def _show(console: Console, results: Results) -> None:
    load = titled(f"{CLIENTS} clients; they, the services and PostgreSQL share {os.cpu_count()} cores")
    load.add_column("")
    for name in ("one service", "two services", "two / one"):
        load.add_column(name, justify="right")
    for operation, figures in results.load.items():
        load.add_row(f"[bold]{operation}[/]")
        for name, each in figures.items():
            load.add_row(f"  {name}", *(f"{value:.2f}" for value in each))
    console.print(load)
    delays = titled("Single changes")
    delays.add_column("milliseconds")
    for name in ("count", "median", "99 %", "least", "most"):
        delays.add_column(name, justify="right")
    for name, of_all in results.delays.items():
        shown = (of_all.median, of_all.p99, of_all.least, of_all.most)
        delays.add_row(name, str(of_all.count), *(f"{value:.1f}" for value in shown))
    console.print(delays)
    statements = titled("SQL statements for each (with what begins and ends transactions)")
    statements.add_column("operation")
    for name in ("one service", "two services"):
        statements.add_column(name, justify="right")
    for name, of_each in results.statements.items():
        statements.add_row(name, *(f"{each.statements:.1f} ({each.with_transactions:.1f})" for each in of_each))
    console.print(statements)
    console.print(verdicts_table(results.verdicts()))


if __name__ == "__main__":
    main()
