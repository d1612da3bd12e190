"""What traffic through a load balancer costs beside other proxies: `make bench-traffic`.

In each round every proxy has its turn at every kind of traffic, so that what else the machine does touches all alike;
figures are medians of the rounds. The processor time is that of the proxy alone. Load comes from wrk and iperf3.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from benchmarks import rivals
from benchmarks.client import LOAD_BALANCER, BenchmarkError, logged_in
from benchmarks.memory import family
from benchmarks.rivals import DATAGRAMS, HTTP, HTTPS, LARGE, MEMBER_PORT, MEMBERS, TCP, Rival
from equipoise.client import ClientError
from stand import running_service
from stand.certificates import rsa_pair

OURS: Final = "ours"
BY_HAND: Final = "Envoy by hand"
_DIRECT: Final = "direct"
_AT_LEAST: Final = 0.9

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_RATE: Final = re.compile(r"Requests/sec:\s+([\d.]+)")
_COUNT: Final = re.compile(r"(\d+) requests in")
_LATEST: Final = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
_WRONG: Final = re.compile(r"(Socket errors|Non-2xx).*")
_IN_MILLISECONDS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}
_UNCOUNTED_SECONDS: Final = 1.0
_DATAGRAM_BYTES: Final = 1200
_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of traffic. `scheme` is udp or what stands before a URL."""

    name: str
    port: int
    path: str = "/"
    scheme: str = "http"
    connections: int = 32
    closes: bool = False

    def goes_through(self, rival: Rival) -> bool:
        """Whether the proxy can do that; the backend does not speak TLS itself."""
        return (self.scheme != "udp" or rival.datagrams) and (self.scheme != "https" or rival.tls)


KINDS: Final = (
    Kind("HTTP, kept connections", HTTP),
    Kind("HTTP, 256 kept connections", HTTP, connections=256),
    Kind("HTTP, new connections", HTTP, closes=True),
    Kind("HTTP, bodies of 1 MiB", HTTP, LARGE, connections=8),
    Kind("TCP, kept connections", TCP),
    Kind("TCP, new connections", TCP, closes=True),
    Kind("TCP, streams of 1 MiB", TCP, LARGE, connections=8),
    Kind("TLS, new connections", HTTPS, scheme="https", closes=True),
    Kind("UDP, datagrams", DATAGRAMS, scheme="udp"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One turn: per second; 99 % within so many ms (0: not known); processor time of the proxy for one, in us."""

    rate: float
    latest: float
    cost: float


def turn(kind: Kind, rival: Rival, seconds: float) -> Figure:
    """Let one kind of traffic through one proxy, after a second of it that does not count.

    In that second the connections to members are made. Proxies keep those for different times, so some would have
    them from the turn before: ours keeps them for 4 s, and Envoy by hand for an hour.

    Raises:
        BenchmarkError: requests failed.
    """
    send = _datagrams if kind.scheme == "udp" else _requests
    send(kind, rival, _UNCOUNTED_SECONDS)
    before = _processor_seconds(rival.pid)
    count, rate, latest = send(kind, rival, seconds)
    spent = _processor_seconds(rival.pid) - before
    return Figure(rate, latest, spent * 1e6 / max(count, 1))


def _requests(kind: Kind, rival: Rival, seconds: float) -> tuple[int, float, float]:
    port = MEMBER_PORT if rival.name == _DIRECT else kind.port
    url = f"{kind.scheme}://{rival.address}:{port}{kind.path}"
    command = ["wrk", "-t1", f"-c{kind.connections}", f"-d{seconds:g}s", "--latency", url]
    said = _run(command + (["-H", "Connection: close"] if kind.closes else []))
    wrong = _WRONG.search(said)
    if wrong is not None:
        raise BenchmarkError(f"{kind.name} through {rival.name}: {wrong[0]}")
    rate, count, latest = (_found(pattern, said) for pattern in (_RATE, _COUNT, _LATEST))
    return int(count[1]), float(rate[1]), float(latest[1]) * _IN_MILLISECONDS[latest[2]]


def _found(pattern: re.Pattern[str], said: str) -> re.Match[str]:
    found = pattern.search(said)
    if found is None:
        raise BenchmarkError(f"wrk said: {said}")
    return found


def _datagrams(_: Kind, rival: Rival, seconds: float) -> tuple[int, float, float]:
    """As many as the sender can; those count that arrive."""
    command = [
        "iperf3",
        "-c",
        rival.for_datagrams or rival.address,
        "-p",
        str(DATAGRAMS),
        "-u",
        "-b",
        "0",
        "-l",
        str(_DATAGRAM_BYTES),
    ]
    said = _report([*command, "-t", f"{max(1, round(seconds))}", "-J"])
    end = said["end"]["sum"]
    arrived = int(end["packets"] - end["lost_packets"])
    return arrived, arrived / float(end["seconds"]), 0.0


def _report(command: Sequence[str]) -> dict[str, Any]:
    """What iperf3 says; again, when its receiver is still busy with the end of the turn before."""
    for _ in range(_ATTEMPTS):
        said: dict[str, Any] = json.loads(_run(command))
        if "sum" in said["end"]:
            return said
        time.sleep(1)
    raise BenchmarkError(f"iperf3 does not get through: {said.get('error')}")


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0 and command[0] != "iperf3":
        raise BenchmarkError(f"{command[0]} failed: {(done.stdout + done.stderr)[-400:]}")
    return done.stdout


def _processor_seconds(pid: int) -> float:
    """Of a process, all its threads and its children."""
    total = 0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


@contextmanager
def ours(folder: Path, certificate: dict[str, str]) -> Iterator[Rival]:
    """A load balancer as the service configures it, with health checks.

    Internal where that is possible: those of type External have a bandwidth, which would be what is measured. That of
    the one for UDP, which is External always, is 2 Gbit/s.
    """
    with running_service(folder / "data") as service, logged_in(service) as client:
        inside = {"type": "Internal", "vip_subnet_id": "bench", "security_group_id": "bench"}
        internal, external = (
            client.create_load_balancer({**LOAD_BALANCER, **fields}).entities["elb"]
            for fields in (inside, {"bandwidth": 2000})
        )
        cert = client.call("POST", "/elbaas/certificate", certificate)["id"]
        for of, protocol, port, backend_port, members in (
            (internal, "HTTP", HTTP, MEMBER_PORT, MEMBERS),
            (internal, "TCP", TCP, MEMBER_PORT, MEMBERS),
            (internal, "HTTPS", HTTPS, MEMBER_PORT, MEMBERS),
            (external, "TCP", DATAGRAMS, DATAGRAMS, MEMBERS[:1]),
            (external, "UDP", DATAGRAMS, DATAGRAMS, MEMBERS[:1]),
        ):
            fields = {"certificate_id": cert} if protocol == "HTTPS" else {}
            listener = client.create_listener(
                of["id"], protocol=protocol, port=port, backend_port=backend_port, **fields
            )
            client.add_members(listener["id"], members)
            if protocol in {"HTTP", "HTTPS"}:
                client.call("POST", "/elbaas/healthcheck", _check(listener["id"]))
        yield Rival(OURS, internal["vip_address"], service.envoy_pid, external["vip_address"])


def _check(listener_id: str) -> dict[str, object]:
    return {"listener_id": listener_id, "healthcheck_protocol": "HTTP", "healthcheck_uri": "/"}


Figures = dict[str, dict[str, list[Figure]]]


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=1.0, show_default=True, help="Of each turn.")
@click.option("--only", default="", help="Kinds of traffic whose name holds this.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all figures there.")
def main(rounds: int, seconds: float, only: str, json_file: Path | None) -> None:
    """Measure a service of its own and its rivals, on this machine."""
    # So that whatever was started ends with it, whoever ends it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kinds = [kind for kind in KINDS if only in kind.name]
    console = Console(highlight=False)
    with TemporaryDirectory(prefix="equipoise-traffic-") as name, ExitStack() as parts:
        folder = Path(name)
        pair = rsa_pair()
        file = rivals.write_pair(folder, pair)
        try:
            direct = Rival(_DIRECT, MEMBERS[0], parts.enter_context(rivals.backends(folder)), tls=False)
            all_of_them = [
                direct,
                parts.enter_context(ours(folder, pair.body)),
                parts.enter_context(rivals.envoy(folder, "127.230.0.1", file)),
                parts.enter_context(rivals.haproxy(folder, "127.230.0.2", file)),
                parts.enter_context(rivals.nginx(folder, "127.230.0.3", file)),
            ]
            figures = _measure(kinds, all_of_them, rounds, seconds)
        except (BenchmarkError, ClientError, AssertionError, OSError) as error:
            raise click.ClickException(f"No result: {error}") from error
    if json_file is not None:
        plain = {
            kind: {rival: [asdict(each) for each in of] for rival, of in by.items()} for kind, by in figures.items()
        }
        json_file.write_text(json.dumps(plain, indent=1) + "\n")
    for kind in kinds:
        console.print(_table(kind.name, figures[kind.name]))


def _measure(kinds: Sequence[Kind], all_of_them: Sequence[Rival], rounds: int, seconds: float) -> Figures:
    figures: Figures = {kind.name: defaultdict(list) for kind in kinds}
    order = Random(1)
    for _ in range(rounds):
        for kind in kinds:
            # In another order each time: what lingers of a turn must not always meet the same.
            for rival in order.sample(all_of_them, len(all_of_them)):
                if kind.goes_through(rival):
                    figures[kind.name][rival.name].append(turn(kind, rival, seconds))
    return figures


def _table(title: str, figures: dict[str, list[Figure]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", min_width=60)
    table.add_column("")
    for name in ("a second", "spread", "99 %, ms", "CPU us", "of ours", "ours : it"):
        table.add_column(name, justify="right")
    mine = figures[OURS]
    for name, of in figures.items():
        rates = [each.rate for each in of]
        ratio = median(a.rate / b.rate if b.rate else inf for a, b in zip(mine, of, strict=True))
        cost, own = (median(each.cost for each in some) for some in (of, mine))
        verdict = "" if name != BY_HAND else " met" if ratio >= _AT_LEAST else " missed"
        table.add_row(
            name,
            f"{median(rates):,.0f}",
            f"{min(rates):,.0f}-{max(rates):,.0f}",
            f"{median(each.latest for each in of):.2f}" if of[0].latest else "",
            f"{cost:.1f}" if name != _DIRECT else "",
            f"{cost / own:.2f}" if own and name != _DIRECT else "",
            f"{ratio:.2f}{verdict}",
        )
    return table


if __name__ == "__main__":
    main()
