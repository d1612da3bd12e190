"""Health over UDP: thresholds as pure functions, the schedule by an hour hand, the probe on real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from equipoise.node.probes.targets import UdpCheckTarget
from equipoise.node.probes.thresholds import Standing, judged
from equipoise.node.probes.udp_health import UdpSchedule
from equipoise.node.probes.udp_probe import PROBE, UdpProbe

THRESHOLDS = st.integers(1, 10)
RESULTS = st.lists(st.booleans(), max_size=60)
TARGET = UdpCheckTarget("lb", "l1", "10.0.0.1", 53, 5, 2, 2, 3)
MEMBER = "l1", "10.0.0.1"


def life(results: list[bool], start: bool | None, up: int, down: int) -> list[bool | None]:
    standing, seen = Standing(start), []
    for passed in results:
        standing = judged(standing, passed, up, down)
        seen.append(standing.healthy)
    return seen


@given(RESULTS, st.booleans(), THRESHOLDS, THRESHOLDS)
def test_a_member_turns_exactly_when_as_many_in_a_row_say_so(
    results: list[bool], start: bool, up: int, down: int
) -> None:
    known, row = start, 0
    for passed, seen in zip(results, life(results, start, up, down), strict=True):
        row = row + 1 if passed is not known else 0
        if row == (up if passed else down):
            known, row = passed, 0
        assert seen is known


@given(st.lists(st.booleans(), min_size=1), THRESHOLDS, THRESHOLDS)
def test_the_first_result_about_an_unknown_member_decides(results: list[bool], up: int, down: int) -> None:
    assert life(results, None, up, down) == [results[0], *life(results[1:], results[0], up, down)]


@given(RESULTS, THRESHOLDS)
def test_what_is_known_is_never_forgotten(results: list[bool], threshold: int) -> None:
    assert None not in life(results, True, threshold, threshold)


class Probes:
    """Counts what is sent; what comes back, the test says."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []

    def send(self, address: str, port: int) -> None:
        self.sent.append((address, port))


class Clockwork:
    """A schedule under an hour hand that a test moves."""

    def __init__(self, *targets: UdpCheckTarget) -> None:
        self.probes = Probes()
        self.told: list[Mapping[tuple[str, str], bool]] = []
        self.schedule = UdpSchedule(self.probes, lambda _, seen: self.told.append(seen), spread=lambda _: 0.0)
        self.now = 100.0
        self.put(*targets)

    def put(self, *targets: UdpCheckTarget) -> None:
        self.schedule.put("lb", targets, self.now)
        self.schedule.run(self.now)

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.schedule.run(self.now)) is not None and due <= end:
            self.now = due
        self.now = end

    def refuse(self) -> None:
        self.schedule.unreachable("10.0.0.1", 53)


def test_a_probe_is_sent_at_every_interval_whatever_becomes_of_it() -> None:
    clockwork = Clockwork(TARGET)
    clockwork.pass_time(7)
    clockwork.refuse()
    clockwork.pass_time(18)
    assert len(clockwork.probes.sent) == 6


def test_silence_counts_as_a_pass_when_the_time_out_is_over_and_not_before() -> None:
    clockwork = Clockwork(TARGET)
    clockwork.pass_time(1.9)
    assert clockwork.told == []
    clockwork.pass_time(0.2)
    assert clockwork.told == [{MEMBER: True}]


def test_a_time_out_longer_than_the_interval_ends_with_it() -> None:
    clockwork = Clockwork(replace(TARGET, timeout=50))
    clockwork.pass_time(4.9)
    assert clockwork.told == []
    clockwork.pass_time(0.2)
    assert clockwork.told == [{MEMBER: True}]


def test_an_answer_is_a_pass_at_once() -> None:
    clockwork = Clockwork(TARGET)
    clockwork.schedule.answered("10.0.0.1", 53)
    assert clockwork.told == [{MEMBER: True}]
    clockwork.pass_time(4)
    assert clockwork.told == [{MEMBER: True}]


def test_a_known_member_turns_after_as_many_refusals_as_the_threshold_and_back_after_as_many_passes() -> None:
    clockwork = Clockwork(replace(TARGET, healthy=True))
    for _ in range(3):
        assert clockwork.told == []
        clockwork.refuse()
        clockwork.pass_time(5)
    assert clockwork.told == [{MEMBER: False}]
    clockwork.told.clear()
    # The probe at the end of the last interval is under way; its time-out and the next one's make two passes.
    clockwork.pass_time(2.1)
    assert clockwork.told == []
    clockwork.pass_time(5)
    assert clockwork.told == [{MEMBER: True}]


def test_a_refusal_that_comes_late_counts_against_the_next_probe() -> None:
    clockwork = Clockwork(replace(TARGET, healthy=True, unhealthy_threshold=2))
    for _ in range(2):
        assert clockwork.told == []
        clockwork.pass_time(3)
        clockwork.refuse()
        clockwork.pass_time(2)
    assert clockwork.told == [{MEMBER: False}]


def test_all_listeners_of_one_place_hear_of_it_and_no_others() -> None:
    same, other = replace(TARGET, pool_id="l2"), replace(TARGET, pool_id="l3", port=54)
    clockwork = Clockwork(TARGET, same, other)
    clockwork.refuse()
    assert clockwork.told == [{MEMBER: False}, {("l2", "10.0.0.1"): False}]


def test_what_goes_on_as_it_was_keeps_its_rhythm_and_its_count() -> None:
    clockwork = Clockwork(replace(TARGET, healthy=True, unhealthy_threshold=2))
    clockwork.refuse()
    clockwork.pass_time(3)
    # What the database says of its health is older than what is known here.
    clockwork.put(replace(TARGET, healthy=None, unhealthy_threshold=2), replace(TARGET, address="10.0.0.2"))
    clockwork.pass_time(2)
    assert clockwork.probes.sent.count(("10.0.0.1", 53)) == 2
    clockwork.refuse()
    assert {MEMBER: False} in clockwork.told


def test_nobody_is_probed_any_more_after_the_end() -> None:
    clockwork = Clockwork(TARGET)
    clockwork.put()
    assert len(clockwork.schedule) == 0
    clockwork.refuse()
    clockwork.pass_time(60)
    assert len(clockwork.probes.sent) == 1
    assert clockwork.told == []


def test_no_more_than_a_batch_is_done_at_once_and_the_rest_is_due_now() -> None:
    probes = Probes()
    schedule = UdpSchedule(probes, lambda _id, _seen: None, spread=lambda _: 0.0)
    schedule.put("lb", [replace(TARGET, address=f"10.0.{n // 250}.{n % 250}") for n in range(1000)], 0.0)
    assert schedule.run(0.0, most=64) == 0.0
    assert len(probes.sent) == 64


def test_those_of_whom_nothing_is_known_are_asked_within_a_second_and_the_others_spread_over_the_interval() -> None:
    asked: list[float] = []

    def spread(most: float) -> float:
        asked.append(most)
        return most

    schedule = UdpSchedule(Probes(), lambda _id, _seen: None, spread)
    schedule.put("lb", [TARGET, replace(TARGET, pool_id="l2", healthy=True)], 0.0)
    assert asked == [1.0, 5]


class Heard:
    """What a real probe reports."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, int]] = []
        self.unreachable: list[tuple[str, int]] = []

    async def until(self, what: str, count: int) -> None:
        async with asyncio.timeout(10):
            while len(getattr(self, what)) < count:
                await asyncio.sleep(0.001)


@asynccontextmanager
async def a_probe() -> AsyncIterator[tuple[UdpProbe, Heard]]:
    heard = Heard()
    probe = UdpProbe(lambda *place: heard.answers.append(place), lambda *place: heard.unreachable.append(place))
    probe.open()
    try:
        yield probe, heard
    finally:
        probe.close()


def bound(address: str) -> socket.socket:
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    holder.bind((address, 0))
    holder.settimeout(10)
    return holder


async def test_the_probe_tells_who_is_not_there_from_who_answers_and_who_is_silent() -> None:
    async with a_probe() as (probe, heard):
        with bound("127.66.0.1") as answering, bound("127.66.0.2") as silent, bound("127.66.0.3") as gone:
            answering_at, silent_at, gone_at = (each.getsockname() for each in (answering, silent, gone))
            gone.close()
            for place in (gone_at, answering_at, silent_at, gone_at):
                probe.send(*place)
            for holder in (answering, silent):
                text, client = holder.recvfrom(100)
                assert text == PROBE
            answering.sendto(b"", client)
            # Both have the same client: one socket serves all.
            answering.sendto(b"pong", client)
            await heard.until("unreachable", 2)
            await heard.until("answers", 2)
        assert heard.unreachable == [gone_at] * 2
        assert heard.answers == [answering_at] * 2


async def test_a_member_without_any_way_to_it_is_unreachable_at_once() -> None:
    async with a_probe() as (probe, heard):
        probe.send("255.255.255.255", 9)
        probe.send("240.0.0.1", 9)
        await heard.until("unreachable", 1)


async def test_a_thousand_refusals_are_all_heard() -> None:
    async with a_probe() as (probe, heard):
        with bound("127.66.0.4") as gone:
            port = gone.getsockname()[1]
        for number in range(1000):
            probe.send(f"127.67.{number // 250}.{number % 250 + 1}", port)
        await heard.until("unreachable", 1000)
        assert len(set(heard.unreachable)) == 1000
