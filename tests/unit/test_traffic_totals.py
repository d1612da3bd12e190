"""Counters that are shown to collectors never go back."""

from equipoise.node.telemetry.totals import Totals
from equipoise.node.telemetry.traffic_reading import ListenerCounts, MemberCounts

LISTENER = "a" * 32
MEMBER = (LISTENER, "127.0.0.9")


def take(totals: Totals, figures: ListenerCounts | None, member: MemberCounts | None = None) -> ListenerCounts:
    totals.take(
        {} if figures is None else {LISTENER: figures},
        {} if member is None else {MEMBER: member},
        [LISTENER],
        [MEMBER],
    )
    return totals.listeners[LISTENER]


def test_totals_begin_with_what_the_envoy_that_runs_has_counted() -> None:
    assert take(Totals(), ListenerCounts(active=1, connections=7)) == ListenerCounts(active=1, connections=7)


def test_totals_grow_over_the_end_of_an_envoy() -> None:
    totals = Totals()
    take(totals, ListenerCounts(active=3, connections=7, in_bytes=50))
    assert take(totals, ListenerCounts(active=1, connections=2, in_bytes=60)) == ListenerCounts(
        1, 0, connections=9, in_bytes=110
    )
    assert take(totals, ListenerCounts(active=0, connections=3, in_bytes=61)) == ListenerCounts(
        connections=10, in_bytes=111
    )


def test_a_listener_that_was_not_used_since_an_envoy_began_keeps_its_totals_and_has_no_connections() -> None:
    totals = Totals()
    take(totals, ListenerCounts(active=3, connections=7))
    assert take(totals, None) == ListenerCounts(active=0, connections=7)
    assert take(totals, ListenerCounts(active=1, connections=8)) == ListenerCounts(active=1, connections=15)


def test_what_no_longer_exists_is_forgotten() -> None:
    totals = Totals()
    take(totals, ListenerCounts(connections=7), MemberCounts(connections=1))
    totals.take({}, {}, [], [])
    assert not totals.listeners
    assert not totals.members


def test_members_are_added_up_too() -> None:
    totals = Totals()
    take(totals, None, MemberCounts(active=2, connections=5))
    take(totals, None, MemberCounts(active=1, connections=1))
    assert totals.members[MEMBER] == MemberCounts(active=1, connections=6)


def carried(totals: Totals, figures: ListenerCounts) -> ListenerCounts | None:
    return totals.take({LISTENER: figures}, {}, [LISTENER], []).get(LISTENER)


def test_what_was_carried_since_the_last_look_is_told_also_over_the_end_of_an_envoy() -> None:
    totals = Totals()
    carried(totals, ListenerCounts(active=3, connections=7, in_packets=100))
    assert carried(totals, ListenerCounts(active=2, connections=9, in_packets=130)) == ListenerCounts(
        2, 0, 2, in_packets=30
    )
    assert carried(totals, ListenerCounts(active=1, connections=4, in_packets=150)) == ListenerCounts(
        1, 0, 4, in_packets=20
    )
    assert carried(totals, ListenerCounts(active=1, connections=5, in_packets=150)) == ListenerCounts(1, 0, 1)


def test_of_a_listener_that_carried_nothing_only_open_connections_are_told() -> None:
    totals = Totals()
    carried(totals, ListenerCounts(active=3, connections=7))
    assert carried(totals, ListenerCounts(active=3, connections=7)) == ListenerCounts(active=3)
    assert carried(totals, ListenerCounts(connections=7)) == ListenerCounts()
    assert carried(totals, ListenerCounts(connections=7)) is None


def test_a_counter_of_the_kernel_that_begins_anew_goes_on() -> None:
    totals = Totals()
    take(totals, ListenerCounts(connections=7, in_packets=100))
    assert take(totals, ListenerCounts(connections=8, in_packets=5)) == ListenerCounts(connections=8, in_packets=105)
    assert take(totals, ListenerCounts(connections=9, in_packets=6)) == ListenerCounts(connections=9, in_packets=106)
