"""Run the benchmarks: `python -m benchmarks`, or `make bench BENCH_ARGS="--rounds 50"`."""

from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from benchmarks.client import BenchmarkError, logged_in
from benchmarks.growth import WINDOW, fill, measure_growth
from benchmarks.latency import measure_latency
from benchmarks.memory import measure_memory
from benchmarks.report import Results, show, write_json
from equipoise.client import ClientError
from stand import running_service

# The log at its default: it is part of what a change costs.
_SETTINGS = ("quotas.elb=100000", "quotas.member=100000")
_WIDE_POOL = "127.240.0.0/16"
"""Outside of what other stands of this machine use (stand), and wide enough for any number."""


@click.command()
@click.option("--rounds", default=300, show_default=True, type=click.IntRange(2), help="Members to add.")
@click.option(
    "--load-balancers",
    default=1000,
    show_default=True,
    type=click.IntRange(WINDOW),
    help="The position that is compared with the 10th.",
)
@click.option("--seconds", default=300.0, show_default=True, help="At most for each part; a part then ends early.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there.")
def main(rounds: int, load_balancers: int, seconds: float, json_file: Path | None) -> None:
    """Measure a service of its own, on this machine, and say which targets are met."""
    console = Console(highlight=False)
    try:
        results = _measure(console, rounds, load_balancers, seconds)
    except (BenchmarkError, ClientError, OSError) as error:
        raise click.ClickException(f"No result: {error or type(error).__name__}") from error
    show(console, results)
    if json_file is not None:
        write_json(results, json_file)


def _measure(console: Console, rounds: int, load_balancers: int, seconds: float) -> Results:
    results = Results()
    with TemporaryDirectory(prefix="equipoise-bench-") as name:
        folder = Path(name)
        with running_service(folder / "first", *_SETTINGS) as service:
            results.memory.append(measure_memory(service, "at rest after the start"))
            with console.status("Adding members"), logged_in(service) as client:
                results.latency = measure_latency(client, rounds, seconds)
        with running_service(folder / "large", *_SETTINGS, f"addresses.external={_WIDE_POOL}") as large:
            with console.status(f"Creating {load_balancers:,} load balancers"), logged_in(large) as client:
                fill(client, load_balancers, seconds)
            results.memory.append(measure_memory(large, f"with {load_balancers:,} load balancers"))
            with (
                console.status("Creating in turns"),
                running_service(folder / "small", *_SETTINGS) as small,
                # Connected now and not before: the service closes connections that rest for long.
                logged_in(small) as of_small,
                logged_in(large) as of_large,
            ):
                results.growth = measure_growth(of_small, of_large, load_balancers)
    return results


if __name__ == "__main__":
    main()
