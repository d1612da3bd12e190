"""Each kind of violation that only several services can have is found and told. The logs are made up."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.chaos.checker import World
from tests.chaos.faults import Fault, Happened
from tests.chaos.journal import Missing
from tests.chaos.several import Several, Told
from tests.receiver import Received

JOB = {"job_id": "j1", "status": "SUCCESS"}


def of_job(service: str, time: float, status: str, **more: Any) -> Told:
    return Told(service, time, "job", {"job_id": "j1", "load_balancer_id": "l1", "status": status, **more})


def of_node(service: str, time: float, event: str, session: int) -> Told:
    return Told(service, time, event, {"node_id": "n1", "session": session})


def came(status: str = "SUCCESS", id: str = "d1") -> Received:
    return Received("/ended", {"webhook-id": id}, json.dumps({"job_id": "j1", "status": status}).encode())


USUAL = [of_job("a", 1.0, "INIT"), of_job("b", 2.0, "SUCCESS")]


def violations(
    told: Sequence[Told] = USUAL,
    *,
    worlds: Sequence[World] = (World(jobs={"j1": JOB}), World(jobs={"j1": JOB})),
    happened: Sequence[Happened] = (),
    received: Sequence[Received] = (came(),),
    missing: Sequence[Missing] = (),
) -> list[str]:
    return Several(told, dict(zip("ab", worlds, strict=False)), happened, received, 9.0, missing).check()


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    nodes = [
        of_node("a", 1.0, "node_live", 1),
        of_node("b", 2.0, "node_live", 2),
        # It learns late that its own one is over.
        of_node("a", 3.0, "node_gone", 1),
    ]
    assert violations([*USUAL, *nodes], received=[came(), came()]) == []


def test_services_that_show_different_things() -> None:
    [found] = violations(worlds=[World(jobs={"j1": JOB}), World(jobs={"j1": JOB | {"end_time": "x"}})])
    assert found.startswith("jobs differ: a shows ")


def test_a_job_that_ends_twice() -> None:
    [found] = violations([*USUAL, of_job("c", 3.0, "SUCCESS")])
    assert found == "job j1 ended 2 times: b said SUCCESS at 00:00:02.000, c said SUCCESS at 00:00:03.000"


def test_a_job_that_ended_otherwise_than_it_is_shown() -> None:
    [found] = violations([of_job("a", 1.0, "INIT"), of_job("b", 2.0, "FAIL", failure="CANCELLED")])
    assert found == "job j1 is SUCCESS, but b said FAIL at 00:00:02.000"


def test_an_end_that_nobody_tells_of_unless_somebody_was_killed() -> None:
    told = [of_job("a", 100.0, "INIT")]
    [found] = violations(told)
    assert found == "job j1 is SUCCESS, and no log says that it has ended"
    kill = Happened(Fault.KILL_SERVICE, "a", 101.0, 102.0, killed=True)
    assert violations(told, happened=[kill]) == []
    assert len(violations(told, happened=[Happened(Fault.KILL_SERVICE, "a", 1.0, 2.0, killed=True)])) == 1


def test_a_time_limit_of_a_job_whose_acceptance_was_logged_late() -> None:
    failed = [of_job("a", 4.0, "INIT"), of_job("b", 10.1, "FAIL", failure="NOT_CONFIRMED")]
    for begin_time, is_right in ((1.0, True), (3.0, False)):
        shown = datetime.fromtimestamp(begin_time, UTC).isoformat()
        world = World(jobs={"j1": {"job_id": "j1", "status": "FAIL", "begin_time": shown}})
        found = violations(failed, worlds=[world, world], received=[came("FAIL")])
        assert (found == []) is is_right


def test_a_job_that_began_by_another_clock() -> None:
    world = World(jobs={"j1": JOB | {"begin_time": datetime.fromtimestamp(1.0, UTC).isoformat()}})
    told = [of_job("a", 100.0, "INIT"), of_job("a", 101.0, "SUCCESS")]
    [found] = violations(told, worlds=[world, world])
    assert found == "job j1 began by another clock than the true one, says a"


def test_a_time_limit_by_a_clock_that_is_ahead() -> None:
    failed = [of_job("a", 1.0, "INIT"), of_job("b", 1.2, "FAIL", failure="NOT_CONFIRMED")]
    world = World(jobs={"j1": {"job_id": "j1", "status": "FAIL"}})
    [found] = violations(failed, worlds=[world, world], received=[came("FAIL")])
    assert found.startswith("job j1 failed by its time limit of 9 s after 0.200 s: a accepted it, b said FAIL")
    with_another = [
        of_job("a", 0.5, "INIT", job_id="j0"),
        failed[0],
        of_job("b", 10.0, "FAIL", failure="NOT_CONFIRMED", job_id="j0"),
        of_job("b", 10.0, "FAIL", failure="NOT_CONFIRMED"),
    ]
    assert violations(with_another, worlds=[world, world], received=[came("FAIL")]) == []
    jump = Happened(Fault.CLOCK, "b", 1.1, 1.1, killed=False)
    assert violations(failed, worlds=[world, world], received=[came("FAIL")], happened=[jump]) == []


def test_sessions_that_interleave() -> None:
    back = [of_node("a", 1.0, "node_live", 2), of_node("b", 2.0, "node_live", 1)]
    [found] = violations([*USUAL, *back])
    assert (
        found == "sessions of node n1 go back: a said session 2 at 00:00:01.000, then b said session 1 at 00:00:02.000"
    )
    shared = [of_node("a", 1.0, "node_live", 2), of_node("b", 2.0, "node_live", 2)]
    [found] = violations([*USUAL, *shared])
    assert found == "session 2 of node n1 is of several services: a, b"


def test_a_listener_that_is_not_in_force_on_a_node_to_which_nothing_happened() -> None:
    missing = [Missing(100.0, "a", "b", "127.0.0.1:80")]
    [found] = violations(missing=missing)
    assert found == ("a said at 00:01:40.000 that a listener is in force, but b did not listen at 127.0.0.1:80")
    assert (
        len(violations(missing=missing, happened=[Happened(Fault.STOP_SERVICE, "a", 99.0, 101.0, killed=False)])) == 1
    )
    assert violations(missing=missing, happened=[Happened(Fault.STOP_SERVICE, "b", 90.0, 98.0, killed=False)]) == []


def test_webhooks_that_do_not_come_or_say_something_else() -> None:
    [found] = violations(received=[])
    assert found.startswith("the webhook of job j1 did not come")
    [found] = violations(received=[came("FAIL")])
    assert found == "the webhook of job j1 says {'FAIL'}, but it is SUCCESS"
    [found] = violations(received=[came(), came(id="d2")])
    assert found == "job j1 has 2 deliveries, which differ in their webhook-id"
