"""Many clients at once: load balancers with a listener, reads of a job beside a constant, and waiting clients.

Run it with `python -m benchmarks.load`; the figures of single changes are `python -m benchmarks`.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

import click
from rich.console import Console
from rich.table import Table
from tests.stand import Api, Service, running_service

from benchmarks.client import BenchmarkError
from benchmarks.memory import measure_memory

_SETTINGS: Final = ("quotas.elb=1000000", "api.sync_wait=30", "jobs.busy_mark=0", "addresses.external=127.244.0.0/14")
_CLIENTS: Final = 64
_READ_ROUNDS: Final = 7
_WAITING: Final = 1000
_NEWS_ROUNDS: Final = 50


class Connection:
    """One kept HTTP/1.1 connection; it reads answers with a length only, which are all that are asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self._reader = reader
        self._writer = writer
        self._token = token

    @classmethod
    async def open(cls, port: int, token: str) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port), token)

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The decoded body of an answer that must be a success."""
        self.send(method, path, body)
        return await self.answer()

    def send(self, method: str, path: str, body: object = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nX-Auth-Token: {self._token}\r\n"
        self._writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    async def answer(self) -> Any:
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        content = await self._reader.readexactly(length)
        if head.split(b" ", 2)[1] not in {b"200", b"202"}:
            raise BenchmarkError(content.decode(errors="replace"))
        return json.loads(content) if content else None

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def creations_a_second(port: int, token: str, root: str, seconds: float) -> float:
    """Load balancers with a listener, in force, that so many clients at once bring about in a second."""

    async def create(connection: Connection) -> None:
        task = await connection.call("POST", f"{root}/elbaas/loadbalancers", _LOAD_BALANCER)
        job = await connection.call("GET", f"{root}/jobs/{task['job_id']}?wait=60")
        body = _LISTENER | {"loadbalancer_id": job["entities"]["elb"]["id"]}
        listener = await connection.call("POST", f"{root}/elbaas/listeners", body)
        if (job["status"], listener["status"]) != ("SUCCESS", "ACTIVE"):
            raise BenchmarkError(f"Not in force: {job['status']}, {listener['status']}.")

    return await _times_a_second(create, _CLIENTS, port, token, seconds)


async def reads_a_second(port: int, token: str, path: str, seconds: float) -> float:
    """Answers to one path in a second, over eight connections."""

    async def read(connection: Connection) -> None:
        await connection.call("GET", path)

    return await _times_a_second(read, 8, port, token, seconds)


async def _times_a_second(
    act: Callable[[Connection], Awaitable[None]], clients: int, port: int, token: str, seconds: float
) -> float:
    """How often in a second so many clients do this, each over one connection and again when it is done."""
    done = 0
    deadline = time.perf_counter() + seconds

    async def one_client() -> None:
        nonlocal done
        connection = await Connection.open(port, token)
        while time.perf_counter() < deadline:
            await act(connection)
            done += 1
        await connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(clients)))
    return done / (time.perf_counter() - started)


async def read_ratio(port: int, token: str, job_path: str) -> tuple[float, float]:
    """The rate of reading a job, and its ratio to the rate of a constant: medians of rounds in turn."""
    rates, ratios = [], []
    for _ in range(_READ_ROUNDS):
        bare = await reads_a_second(port, token, "/healthz", 1.0)
        rate = await reads_a_second(port, token, job_path, 1.0)
        rates.append(rate)
        ratios.append(rate / bare)
    return median(rates), median(ratios)


async def delay_of_the_news(service: Service, token: str, root: str) -> float:
    """Milliseconds from the end of a job, as its record tells it, until a client that waits has read of it: the median.

    The record has the time at which the transaction began, so the commit is in it, too.
    """
    caller, waiting = [await Connection.open(service.port, token) for _ in range(2)]
    delays = []
    for _ in range(_NEWS_ROUNDS):
        os.kill(service.envoy_pid, signal.SIGSTOP)
        task = await caller.call("POST", f"{root}/elbaas/loadbalancers", _LOAD_BALANCER)
        waiting.send("GET", f"{root}/jobs/{task['job_id']}?wait=60")
        # What is answered now was asked later: the one before is being held.
        await caller.call("GET", "/healthz")
        os.kill(service.envoy_pid, signal.SIGCONT)
        job = await waiting.answer()
        heard = time.time()
        delays.append(1000 * (heard - datetime.fromisoformat(job["end_time"]).timestamp()))
    await caller.close()
    await waiting.close()
    return median(delays)


async def cost_of_waiting(service: Service, token: str, job_path: str, resume: Callable[[], None]) -> float:
    """MiB that clients cost who wait for a job that does not end before `resume` is called."""
    before = measure_memory(service, "before").total
    waiting = [await Connection.open(service.port, token) for _ in range(_WAITING)]
    for connection in waiting:
        connection.send("GET", f"{job_path}?wait=120")
    # What is answered now was asked later: those before are being held.
    await reads_a_second(service.port, token, "/healthz", 1.0)
    cost = measure_memory(service, "while they wait").total - before
    resume()
    for connection in waiting:
        job = await connection.answer()
        if job["status"] != "SUCCESS":
            raise BenchmarkError(f"A waiting client was told {job['status']}.")
        await connection.close()
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
        Api(service) as api,
    ):
        job = api.succeed("POST", "/elbaas/loadbalancers", json=_LOAD_BALANCER)
        rate, ratio = asyncio.run(read_ratio(service.port, api.token, f"{api.root}/jobs/{job['job_id']}"))
        table.add_row("GET of a job, per second", f"{rate:.0f}", "")
        table.add_row("the same, against a constant", f"{ratio:.2f}", ">= 0.35")
        news = asyncio.run(delay_of_the_news(service, api.token, api.root))
        table.add_row("a waiting client learns of the end after, ms (commit included)", f"{news:.1f}", "<= 5")
        os.kill(service.envoy_pid, signal.SIGSTOP)
        held = api.ok("POST", "/elbaas/loadbalancers", json=_LOAD_BALANCER)["job_id"]
        cost = asyncio.run(
            cost_of_waiting(
                service, api.token, f"{api.root}/jobs/{held}", lambda: os.kill(service.envoy_pid, signal.SIGCONT)
            )
        )
        table.add_row(f"{_WAITING:,} waiting clients, MiB", f"{cost:.1f}", "< 50")
        created = asyncio.run(creations_a_second(service.port, api.token, api.root, seconds))
        table.add_row(f"load balancers with a listener, per second, {_CLIENTS} clients", f"{created:.0f}", ">= 300")
    Console(highlight=False).print(table)


_LOAD_BALANCER: Final = {"name": "bench", "vpc_id": "bench", "type": "External", "bandwidth": 1, "admin_state_up": 1}
_LISTENER: Final = {
    "name": "bench",
    "protocol": "HTTP",
    "port": 8080,
    "backend_protocol": "HTTP",
    "backend_port": 9000,
    "lb_algorithm": "roundrobin",
}

if __name__ == "__main__":
    main()
