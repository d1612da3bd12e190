"""What thousands of load balancers weigh, and how soon a killed Envoy serves all of them again: `make bench-scale`.

They are created before the service starts (`benchmarks.filling`): what is weighed is what load balancers need, not what
their creation left behind.
"""

import os
import signal
import socket
import time
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import click
from rich.console import Console

from benchmarks.client import BenchmarkError, logged_in
from benchmarks.filling import PORT, fill
from benchmarks.measure import Verdict
from benchmarks.memory import measure_memory
from benchmarks.report import memory_table, verdicts_table
from equipoise.backends.envoy.xds.listening import is_listening
from equipoise.client import Client, ClientError
from stand import Service, running_service

_POOL: Final = IPv4Network("127.232.0.0/14")
"""Outside of what other stands of this machine use (stand, benchmarks.load), and wide enough for any number."""

_SETTINGS: Final = (f"addresses.external={_POOL}",)
_LOOK_SECONDS: Final = 0.005
_PATIENCE_SECONDS: Final = 120.0

_ENVOY_MIB: Final = 350.0
_SERVICE_MIB: Final = 150.0
_COLD_SECONDS: Final = 5.0


def addresses(client: Client, number: int) -> list[str]:
    """The address of every load balancer.

    Raises:
        BenchmarkError: they are not as many as were created.
    """
    found = {each["vip_address"] for each in client.call("GET", "/elbaas/loadbalancers")["loadbalancers"]}
    if len(found) != number:
        raise BenchmarkError(f"{len(found)} of {number} load balancers are there.")
    return sorted(found)


def cold_start(service: Service, places: Sequence[str]) -> float:
    """Seconds from the end of a killed Envoy until the last address accepts connections."""
    pid = service.envoy_pid
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    for address in places:
        # The kernel is asked, since thousands of connections would themselves be work for Envoy.
        while not is_listening(address, PORT):
            if time.monotonic() - killed > _PATIENCE_SECONDS:
                raise BenchmarkError(f"{address} does not serve {_PATIENCE_SECONDS:g} s after Envoy was killed.")
            # Between looks, so that they take little of the processor time that Envoy starts with.
            time.sleep(_LOOK_SECONDS)
    took = time.monotonic() - killed
    for address in places:
        socket.create_connection((address, PORT), timeout=5).close()
    return took


@click.command()
@click.option("--load-balancers", default=5000, show_default=True, type=click.IntRange(1), help="With a listener each.")
@click.option("--protocol", default="HTTP", show_default=True, type=click.Choice(["HTTP", "TCP"]))
@click.option("--members", default=2, show_default=True, type=click.IntRange(0, 200), help="Of each listener.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Times that Envoy is killed.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep what was created there; what an earlier run with the same options left is taken as it is.",
)
def main(load_balancers: int, protocol: str, members: int, rounds: int, data_dir: Path | None) -> None:
    """Measure a service of its own, on this machine, and say which targets are met."""
    console = Console(highlight=False)
    with TemporaryDirectory(prefix="equipoise-scale-") as folder:
        place = (data_dir or Path(folder) / "data").absolute()
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                with running_service(place, *_SETTINGS) as service:
                    project_id = service.credentials()["project_id"]
                with console.status(f"Creating {load_balancers:,} load balancers"):
                    fill(place, project_id, _POOL, load_balancers, protocol, members)
            with running_service(place, *_SETTINGS) as service:
                _measure(console, service, load_balancers, rounds)
        except (BenchmarkError, ClientError, OSError) as error:
            raise click.ClickException(f"No result: {error or type(error).__name__}") from error


def _measure(console: Console, service: Service, number: int, rounds: int) -> None:
    with logged_in(service) as client:
        places = addresses(client, number)
    weight = measure_memory(service, f"with {number:,} load balancers, after a start")
    console.print(memory_table(weight))
    with console.status("Killing Envoy"):
        cold = [cold_start(service, places) for _ in range(rounds)]
    console.print("Cold starts, s: " + ", ".join(f"{each:.2f}" for each in cold))
    again = measure_memory(service, "after the cold starts, each has had a connection")
    console.print(memory_table(again))
    programs = ("envoy", "equipoise", "equipoise.standby")
    most = {name: max(each.of(name) for each in (weight, again)) for name in programs}
    with_standby = most["equipoise"] + most["equipoise.standby"]
    console.print(
        verdicts_table(
            [
                Verdict("memory (PSS) of Envoy", most["envoy"], _ENVOY_MIB, "MiB"),
                Verdict("memory (PSS) of the service", most["equipoise"], _SERVICE_MIB, "MiB"),
                Verdict("memory (PSS) of it with its standby", with_standby, _SERVICE_MIB, "MiB"),
                Verdict("a cold Envoy serves all, median", median(cold), _COLD_SECONDS, "s"),
            ]
        )
    )


if __name__ == "__main__":
    main()
