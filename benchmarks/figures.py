"""What the figures cost: `python -m benchmarks.figures`. CPU time of all processes by the clock, with and without.

One stand is filled once. It is then run in turns, with a look at the traffic and a scrape of `/metrics` every 15 s,
and with neither; the difference is what the figures take of the service. Every listener has a request in each of these
intervals, in turns of both kinds, so that all figures move all the time. Envoy takes many times as much for these
requests as for telling its figures; so what that takes is told by asking it many times when the requests are over.
"""

import asyncio
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import click
import httpx
from rich.console import Console
from rich.table import Table

from benchmarks.client import create_listener, create_load_balancer, logged_in
from benchmarks.measure import processor_seconds
from equipoise.node.admin import EnvoyAdmin
from equipoise.node.files import DataPlaneFiles
from stand import Service, eventually, running_backends

INTERVAL: Final = 15.0
_NEVER: Final = 300.0
_SETTINGS: Final = ("quotas.elb=100000", "log.level=warning")
_NETWORK: Final = "127.244.0.0/16"
_AT_MOST: Final = 0.02


_ENVOYS_FIGURES: Final = ("/stats?usedonly&format=prometheus", "/clusters")
_LOOKS: Final = 20


class Turn(NamedTuple):
    """Shares of a core: of the service with the commands that it ran, and of Envoy for one look in each interval; and
    what a scrape took."""

    service: float
    envoy: float = 0.0
    page_bytes: int = 0
    page_seconds: float = 0.0


@click.command()
@click.option("--load-balancers", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--turns", default=3, show_default=True, type=click.IntRange(1), help="Of each kind.")
@click.option("--seconds", default=45.0, show_default=True, help="Length of a turn; several looks must fit into it.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="A stand of an earlier run; made where it is missing."
)
def main(load_balancers: int, turns: int, seconds: float, data_dir: Path | None) -> None:
    """Measure on a stand of its own, on this machine."""
    console = Console(highlight=False)
    with TemporaryDirectory(prefix="equipoise-bench-") as temporary:
        folder = data_dir or Path(temporary) / "data"
        if not (folder / "equipoise.db").exists():
            with console.status(f"Creating {load_balancers:,} load balancers"):
                _fill(folder, load_balancers)
        with_figures, without = [], []
        for _ in range(turns):
            without.append(_turn(folder, _NEVER, seconds))
            with_figures.append(_turn(folder, INTERVAL, seconds))
    table = Table(title="Shares of a core", title_justify="left")
    for name in ("", "service", "Envoy, looked at", "page, MiB", "scrape, s"):
        table.add_column(name, justify="right")
    for name, each in (("without", without), ("with figures", with_figures)):
        table.add_row(
            name,
            f"{mean(turn.service for turn in each):.2%}",
            f"{mean(turn.envoy for turn in each):.2%}",
            f"{mean(turn.page_bytes for turn in each) / 2**20:.1f}",
            f"{mean(turn.page_seconds for turn in each):.2f}",
        )
    console.print(table)
    costs = [turn.service - bare.service + turn.envoy for turn, bare in zip(with_figures, without, strict=True)]
    console.print(
        f"The figures take {mean(costs):.2%} of a core ({', '.join(f'{cost:.2%}' for cost in costs)}); "
        f"at most {_AT_MOST:.0%} was promised for 1,000."
    )


def _service(folder: Path, interval: float) -> Service:
    service = Service(folder, *_SETTINGS, f"monitor.interval={interval}")
    service.settings[0] = f"addresses.external={_NETWORK}"
    return service


def _fill(folder: Path, number: int) -> None:
    service = _service(folder, _NEVER)
    try:
        service.start()
        with running_backends(2) as backends, ThreadPoolExecutor(8) as several:
            clients = [logged_in(service) for _ in range(8)]

            def create(position: int) -> None:
                # Each thread takes turns with its own.
                client = clients[position]
                for _ in range(position, number, len(clients)):
                    client.add_members(create_listener(client, create_load_balancer(client)), backends.addresses)

            list(several.map(create, range(len(clients))))
    finally:
        service.stop()


def _turn(folder: Path, interval: float, seconds: float) -> Turn:
    service = _service(folder, interval)
    try:
        service.start()
        with logged_in(service) as client:
            addresses = [each["vip_address"] for each in client.call("GET", "/elbaas/loadbalancers")["loadbalancers"]]
        for _ in range(2):
            for address in addresses:
                _ask(address)
        if interval != _NEVER:
            eventually(lambda: "requests_total{" in _page(service)[0], 60)
        return _watch(service, addresses, interval, seconds)
    finally:
        service.stop()


def _watch(service: Service, addresses: Sequence[str], interval: float, seconds: float) -> Turn:
    before, started = processor_seconds(service.pid), time.monotonic()
    page, took = "", 0.0
    for number in range(1, round(seconds / INTERVAL) + 1):
        for address in addresses:
            _ask(address)
        # Traffic and scrapes come at a rate: until the next one is due.
        time.sleep(max(0.0, started + number * INTERVAL - time.monotonic()))
        if interval != _NEVER:
            page, took = _page(service)
    of_service = (processor_seconds(service.pid) - before) / (time.monotonic() - started)
    if interval == _NEVER:
        return Turn(of_service)
    return Turn(of_service, asyncio.run(_envoys_share(service)), len(page), took)


async def _envoys_share(service: Service) -> float:
    admin, pid = EnvoyAdmin(DataPlaneFiles(service.data_dir).admin_socket), service.envoy_pid
    before = processor_seconds(pid)
    for _ in range(_LOOKS):
        for path in _ENVOYS_FIGURES:
            await admin.read(path)
    return (processor_seconds(pid) - before) / _LOOKS / INTERVAL


def _page(service: Service) -> tuple[str, float]:
    started = time.monotonic()
    return httpx.get(f"{service.url}/metrics", timeout=60, verify=False).text, time.monotonic() - started


def _ask(address: str) -> None:
    with socket.create_connection((address, 8080), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        while connection.recv(65536):
            pass


if __name__ == "__main__":
    main()
