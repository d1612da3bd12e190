"""How long a change takes until it is in force: adding a member, from the POST to the SUCCESS of its job."""

import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import count
from typing import Final

from benchmarks.client import create_listener, create_load_balancer
from benchmarks.measure import Summary, Verdict, milliseconds
from equipoise.client import Client, JobFailed

_WARM_UP: Final = 20
_FACTOR: Final = 10
_ALLOWANCE_MS: Final = 15.0
_FIRST_MEMBER: Final = int(IPv4Address("10.0.0.1"))


@dataclass(frozen=True, slots=True)
class Latency:
    """What was measured; `accepted` is the part of `in_force` until the answer to the POST."""

    healthz: Summary
    accepted: Summary
    in_force: Summary

    def verdict(self) -> Verdict:
        """createMember against ten bare round trips and 15 ms for the data plane and the disk."""
        at_most = _FACTOR * self.healthz.median + _ALLOWANCE_MS
        return Verdict("createMember in force: 10 x healthz + 15 ms", self.in_force.median, at_most, "ms")


def measure_latency(client: Client, rounds: int, seconds: float) -> Latency:
    """Take turns between both, `rounds` times or until `seconds` are over."""
    listener_id = create_listener(client, create_load_balancer(client))
    numbers = count()
    healthz: list[float] = []
    accepted: list[float] = []
    in_force: list[float] = []
    deadline = time.monotonic() + seconds
    for round in range(_WARM_UP + rounds):
        bare = milliseconds(client.look)
        first, whole = _add_member(client, listener_id, next(numbers))
        if round >= _WARM_UP:
            healthz.append(bare)
            accepted.append(first)
            in_force.append(whole)
        if len(healthz) > 1 and time.monotonic() > deadline:
            break
    return Latency(Summary.of(healthz), Summary.of(accepted), Summary.of(in_force))


def _add_member(client: Client, listener_id: str, number: int) -> tuple[float, float]:
    """Milliseconds until it was accepted, and until it was in force."""
    body = [{"server_id": f"server-{number}", "address": str(IPv4Address(_FIRST_MEMBER + number))}]
    started = time.perf_counter()
    job_id = client.call("POST", f"/elbaas/listeners/{listener_id}/members", body)["job_id"]
    accepted = time.perf_counter()
    job = client.ended(job_id)
    in_force = time.perf_counter()
    if job.status == "FAIL":
        raise JobFailed(job)
    return (accepted - started) * 1000, (in_force - started) * 1000
