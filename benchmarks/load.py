"""Many clients at once: load balancers with a listener, reads of a job beside a constant, and waiting clients.

Run it with `python -m benchmarks.load`; the figures of single changes are `python -m benchmarks`.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from benchmarks.client import LOAD_BALANCER, BenchmarkError, Stand, logged_in, times_a_second
from benchmarks.memory import measure_memory
from equipoise.client import AsyncClient
from stand import running_service

_SETTINGS: Final = ("quotas.elb=1000000", "api.sync_wait=30", "jobs.busy_mark=0", "addresses.external=127.244.0.0/14")
_CLIENTS: Final = 64
_READERS: Final = 8
_READ_ROUNDS: Final = 7
_WAITING: Final = 1000
_NEWS_ROUNDS: Final = 50
_LOAD_BALANCER: Final = {**LOAD_BALANCER, "bandwidth": 1}


async def creations_a_second(stand: Stand, seconds: float) -> float:
    """Load balancers with a listener, in force, that so many clients at once bring about in a second."""

    async def create(client: AsyncClient) -> None:
        job = await client.create_load_balancer(_LOAD_BALANCER)
        listener = await client.create_listener(
            job.entities["elb"]["id"], name="bench", protocol="HTTP", port=8080, backend_port=9000
        )
        if listener["status"] != "ACTIVE":
            raise BenchmarkError(f"Not in force: {listener['status']}.")

    return await times_a_second([stand], create, _CLIENTS, seconds)


async def read_ratio(stand: Stand, job_id: str) -> tuple[float, float]:
    """The rate of reading a job, and its ratio to the rate of a constant: medians of rounds in turn."""
    rates, ratios = [], []
    for _ in range(_READ_ROUNDS):
        bare = await times_a_second([stand], lambda client: client.look(), _READERS, 1.0)
        rate = await times_a_second([stand], lambda client: client.job(job_id), _READERS, 1.0)
        rates.append(rate)
        ratios.append(rate / bare)
    return median(rates), median(ratios)


async def delay_of_the_news(stand: Stand) -> float:
    """Milliseconds from the end of a job, as its record tells it, until a client that waits has read of it: the median.

    The record has the time at which the transaction began, so the commit is in it, too.
    """
    envoy = stand.service.envoy_pid
    delays = []
    async with await stand.connected() as caller, await stand.connected() as waiting:
        for _ in range(_NEWS_ROUNDS):
            os.kill(envoy, signal.SIGSTOP)
            task = await caller.call("POST", "/elbaas/loadbalancers", _LOAD_BALANCER)
            end = asyncio.create_task(waiting.ended(task["job_id"]))
            # The task takes its first step, which sends the request; what is answered next was asked after it.
            await asyncio.sleep(0)
            await caller.look()
            os.kill(envoy, signal.SIGCONT)
            job = await end
            heard = time.time()
            delays.append(1000 * (heard - datetime.fromisoformat(job.document["end_time"]).timestamp()))
    return median(delays)


async def cost_of_waiting(stand: Stand, job_id: str, resume: Callable[[], None]) -> float:
    """MiB that clients cost who wait for a job that does not end before `resume` is called."""
    before = measure_memory(stand.service, "before").total
    waiting = [await stand.connected() for _ in range(_WAITING)]
    ends = [asyncio.create_task(client.ended(job_id, 120)) for client in waiting]
    # The tasks take their first step, which sends the request; what is answered next was asked after them.
    await asyncio.sleep(0)
    await times_a_second([stand], lambda client: client.look(), _READERS, 1.0)
    cost = measure_memory(stand.service, "while they wait").total - before
    resume()
    for job in await asyncio.gather(*ends):
        if job.status != "SUCCESS":
            raise BenchmarkError(f"A waiting client was told {job.status}.")
    for client in waiting:
        await client.close()
    return cost


@click.command()
@click.option("--seconds", default=20.0, show_default=True, help="For the creations.")
def main(seconds: float) -> None:
    """Measure a service of its own, on this machine, under many clients."""
    table = Table(title="Many clients", title_justify="left")
    for name in ("figure", "measured", "target"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    with (
        TemporaryDirectory(prefix="equipoise-load-") as folder,
        running_service(Path(folder) / "data", *_SETTINGS) as service,
        logged_in(service) as client,
    ):
        stand = Stand(service, client)
        rate, ratio = asyncio.run(read_ratio(stand, client.create_load_balancer(_LOAD_BALANCER).id))
        table.add_row("GET of a job, per second", f"{rate:.0f}", "")
        table.add_row("the same, against a constant", f"{ratio:.2f}", ">= 0.35")
        news = asyncio.run(delay_of_the_news(stand))
        table.add_row("a waiting client learns of the end after, ms (commit included)", f"{news:.1f}", "<= 5")
        os.kill(service.envoy_pid, signal.SIGSTOP)
        held = client.call("POST", "/elbaas/loadbalancers", _LOAD_BALANCER)["job_id"]
        cost = asyncio.run(cost_of_waiting(stand, held, lambda: os.kill(service.envoy_pid, signal.SIGCONT)))
        table.add_row(f"{_WAITING:,} waiting clients, MiB", f"{cost:.1f}", "< 50")
        created = asyncio.run(creations_a_second(stand, seconds))
        table.add_row(f"load balancers with a listener, per second, {_CLIENTS} clients", f"{created:.0f}", ">= 300")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
