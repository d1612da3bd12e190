"""What must hold where several services share one database, beside what must hold for one of them.

What the services logged is ordered by the time of the lines, which is the true one whatever the clock under test says.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from equipoise.core.jobs import FailureReason
from stand import Service
from tests.chaos.checker import World
from tests.chaos.faults import Fault, Happened
from tests.chaos.journal import Missing
from tests.receiver import Received

_ENDED = ("SUCCESS", "FAIL")
_OF_ALL = (Fault.RESTART, Fault.LOCKED, Fault.READ_ONLY)
"""Faults that keep every service from renewing its lease."""

_IN_DOUBT_SECONDS = 40.0
"""How long after a commit it may be told of at the latest: a service asks for 30 s what became of it."""

_BACK_SECONDS = 10.0
"""Within this time after a fault a node is live again, and has caught up."""

_SLACK = 0.5
"""Seconds by which a line may come later than what it tells of."""


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the log of a service: its event, and when by the true clock, in seconds since 1970."""

    service: str
    time: float
    event: str
    fields: Mapping[str, Any]


@dataclass
class Several:
    """Everything that is known after a run of several services.

    Attributes:
        worlds: what each service shows.
        happened: the faults.
        received: what came to the webhook of each project.
        missing: where a listener was not in force right after it was said to be.
        counted: what a summary tells.
    """

    told: Sequence[Told]
    worlds: Mapping[str, World]
    happened: Sequence[Happened]
    received: Sequence[Received]
    time_limit: float
    missing: Sequence[Missing] = ()
    counted: Counter[str] = field(default_factory=Counter)

    @property
    def jobs(self) -> Mapping[str, dict[str, Any]]:
        """All jobs by id, as any of the services shows them."""
        return next(iter(self.worlds.values())).jobs

    def check(self) -> list[str]:
        """Every violation."""
        checks: list[Iterable[str]] = [
            self._worlds(),
            self._ends(),
            self._time_limits(),
            self._sessions(),
            self._listeners(),
            self._deliveries(),
        ]
        return [violation for check in checks for violation in check]

    # What they show

    def _worlds(self) -> Iterator[str]:
        (first, shown), *others = self.worlds.items()
        for other, also in others:
            for what, here, there in (
                ("load balancers", _by_id(shown.load_balancers), _by_id(also.load_balancers)),
                ("listeners", _by_id(_settled(shown)), _by_id(_settled(also))),
                ("certificates", _by_id(shown.certificates), _by_id(also.certificates)),
                ("elastic IPs", _by_id(shown.elastic_ips), _by_id(also.elastic_ips)),
                ("jobs", shown.jobs, also.jobs),
            ):
                for id in sorted(here.keys() | there.keys()):
                    if here.get(id) != there.get(id):
                        yield f"{what} differ: {first} shows {here.get(id)}, {other} shows {there.get(id)}"

    # Jobs

    def _ends(self) -> Iterator[str]:
        """One terminal transition over all logs, and it is the one that the API shows."""
        ends: dict[str, list[Told]] = defaultdict(list)
        last: dict[str, float] = {}
        for line in self._of_jobs():
            last[line.fields["job_id"]] = line.time
            if line.fields["status"] in _ENDED:
                ends[line.fields["job_id"]].append(line)
        for id, job in self.jobs.items():
            match ends[id]:
                case [one]:
                    self.counted["ends of jobs in the logs"] += 1
                    if one.fields["status"] != job["status"]:
                        yield f"job {id} is {job['status']}, but {_said(one)}"
                case []:
                    # Whoever had ended it was killed before it could say so.
                    self.counted["ends of jobs that a kill kept out of the logs"] += 1
                    if not self._killed_after(last.get(id)):
                        yield f"job {id} is {job['status']}, and no log says that it has ended"
                case several:
                    yield f"job {id} ended {len(several)} times: {', '.join(map(_said, several))}"

    def _killed_after(self, since: float | None) -> bool:
        kills = [each for each in self.happened if each.killed]
        if since is None:
            return bool(kills)
        until = since + self.time_limit + _IN_DOUBT_SECONDS
        return any(each.over > since - _SLACK and each.began < until for each in kills)

    def _when_it_began(self, line: Told) -> Told:
        """The line that a job was accepted, at the time at which it was."""
        shown = self.jobs.get(line.fields["job_id"], {}).get("begin_time")
        return line if shown is None else replace(line, time=min(line.time, datetime.fromisoformat(shown).timestamp()))

    def _time_limits(self) -> Iterator[str]:
        """No job fails by its time limit earlier, unless a clock jumped meanwhile: that clocks differ is no reason.
        It may fail with an earlier one that made what it is about.

        Whoever was stopped after a commit, or had to ask what became of it, logs late that it accepted a job. So the
        job itself says when it began, by the clock of the database, which is the true one."""
        accepted: dict[str, Told] = {}
        in_time: dict[str, list[float]] = defaultdict(list)
        early: list[Told] = []
        for line in self._of_jobs():
            begun = accepted.get(line.fields["job_id"])
            if begun is None:
                begun = accepted[line.fields["job_id"]] = self._when_it_began(line)
                if line.time - begun.time > _IN_DOUBT_SECONDS:
                    yield f"job {line.fields['job_id']} began by another clock than the true one, says {line.service}"
            if line.fields.get("failure") != FailureReason.NOT_CONFIRMED.name:
                continue
            if line.time - begun.time < self.time_limit - _SLACK:
                early.append(line)
            else:
                in_time[line.fields["load_balancer_id"]].append(line.time)
        jumps = [each.began for each in self.happened if each.fault is Fault.CLOCK]
        for line in early:
            begun = accepted[line.fields["job_id"]]
            earlier_ones = in_time[line.fields["load_balancer_id"]]
            with_another = any(abs(line.time - each) < _SLACK for each in earlier_ones)
            if not with_another and not any(begun.time <= jump <= line.time for jump in jumps):
                yield (
                    f"job {line.fields['job_id']} failed by its time limit of {self.time_limit:g} s after "
                    f"{line.time - begun.time:.3f} s: {begun.service} accepted it, {_said(line)}"
                )

    def _of_jobs(self) -> Iterator[Told]:
        return (line for line in self.told if line.event == "job")

    # Nodes

    def _sessions(self) -> Iterator[str]:
        """Of each node the numbers never go back, and each is of one service alone. A service may learn late that a
        session of its own is over, so only the beginnings are in order."""
        holders: dict[tuple[str, int], set[str]] = defaultdict(set)
        begun: dict[str, list[Told]] = defaultdict(list)
        for line in self.told:
            if line.event in ("node_live", "node_gone") and "session" in line.fields:
                holders[line.fields["node_id"], line.fields["session"]].add(line.service)
                if line.event == "node_live":
                    begun[line.fields["node_id"]].append(line)
        self.counted["sessions of nodes"] = len(holders)
        for (node, session), services in holders.items():
            if len(services) > 1:
                yield f"session {session} of node {node} is of several services: {', '.join(sorted(services))}"
        for node, lines in begun.items():
            for one, next_one in pairwise(lines):
                if next_one.fields["session"] < one.fields["session"]:
                    yield f"sessions of node {node} go back: {_said(one)}, then {_said(next_one)}"

    # Listeners

    def _listeners(self) -> Iterator[str]:
        """Only a node that is not live may be left out, and none is left out that nothing has happened to."""
        for each in self.missing:
            if not any(
                (fault.service == each.service or fault.fault in _OF_ALL)
                and fault.began - _SLACK < each.time < fault.over + _BACK_SECONDS
                for fault in self.happened
            ):
                yield (
                    f"{each.said} said at {moment(each.time)} that a listener is in force, but {each.service} did not "
                    f"listen at {each.place}"
                )

    # Webhooks

    def _deliveries(self) -> Iterator[str]:
        states: dict[str, set[str]] = defaultdict(set)
        deliveries: dict[str, set[str]] = defaultdict(set)
        for each in self.received:
            job = json.loads(each.body)
            states[job["job_id"]].add(job["status"])
            deliveries[job["job_id"]].add(each.id)
        self.counted["webhooks"] = len(self.received)
        self.counted["webhooks that came again"] = len(self.received) - len(states)
        for id, job in self.jobs.items():
            if id not in states:
                yield f"the webhook of job {id} did not come: {job}"
            elif states[id] != {job["status"]}:
                yield f"the webhook of job {id} says {states[id]}, but it is {job['status']}"
            if len(deliveries[id]) > 1:
                yield f"job {id} has {len(deliveries[id])} deliveries, which differ in their webhook-id"


def undelivered(received: Iterable[Received], jobs: Iterable[str]) -> set[str]:
    """The jobs of which no webhook has come yet."""
    return set(jobs) - {json.loads(each.body)["job_id"] for each in received}


def told_by(services: Iterable[Service]) -> list[Told]:
    """What all of them logged, in the order of time. A line that a kill cut off is left out."""
    found = []
    for service in services:
        for text in service.log().splitlines():
            with suppress(ValueError):
                fields = json.loads(text)
                when = datetime.fromisoformat(fields["time"]).timestamp()
                found.append(Told(service.data_dir.name, when, fields["event"], fields))
    return sorted(found, key=lambda line: line.time)


def _settled(world: World) -> list[dict[str, Any]]:
    """Listeners with their members; the health of these goes on changing, and is left out."""
    return [
        {
            **listener.shown,
            "members": sorted(
                ({name: each[name] for name in ("id", "address", "status")} for each in listener.members),
                key=lambda each: str(each["id"]),
            ),
        }
        for listener in world.listeners
    ]


def _by_id(shown: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in shown}


def moment(seconds: float) -> str:
    """The time of day, as the logs have it."""
    return datetime.fromtimestamp(seconds, UTC).time().isoformat("milliseconds")


def _said(line: Told) -> str:
    what = f"session {line.fields['session']}" if "session" in line.fields else line.fields.get("status", line.event)
    return f"{line.service} said {what} at {moment(line.time)}"
