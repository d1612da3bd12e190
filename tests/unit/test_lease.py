"""A lease counts from the moment at which it was asked for, whatever becomes of the answers."""

import pytest

from equipoise.node.lease import RENEW_SECONDS, Lease
from equipoise.store.nodes import LEASE
from tests.unit.agent_stand import Clock

SECONDS = 6.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(clock: Clock) -> Lease:
    """A lease that was asked for a second ago and has just begun."""
    lease = Lease(clock)
    number = lease.ask()
    clock.seconds += 1
    lease.begin(number, SECONDS)
    return lease


def ends_in(lease: Lease, clock: Clock, seconds: float) -> bool:
    """Whether it is over then, and not before."""
    now = clock.seconds
    clock.seconds = now + seconds - 0.25
    before = lease.is_over
    clock.seconds = now + seconds
    after = lease.is_over
    clock.seconds = now
    return after and not before


def test_it_runs_from_the_asking(lease: Lease, clock: Clock) -> None:
    assert lease.has_end
    assert ends_in(lease, clock, SECONDS - 1)


def test_a_renewal_runs_from_its_asking_too(lease: Lease, clock: Clock) -> None:
    number = lease.ask()
    clock.seconds += 3
    lease.renewed(number)
    assert ends_in(lease, clock, SECONDS - 3)


def test_asking_alone_renews_nothing(lease: Lease, clock: Clock) -> None:
    lease.ask()
    assert ends_in(lease, clock, SECONDS - 1)


def test_a_renewal_that_was_never_asked_for_is_none(lease: Lease, clock: Clock) -> None:
    lease.renewed(99)
    assert ends_in(lease, clock, SECONDS - 1)


def test_an_answer_that_comes_out_of_order_takes_no_time_away(lease: Lease, clock: Clock) -> None:
    first = lease.ask()
    clock.seconds += 2
    second = lease.ask()
    lease.renewed(second)
    lease.renewed(first)
    assert ends_in(lease, clock, SECONDS)


def test_an_answer_that_was_lost_costs_nothing_but_its_time(lease: Lease, clock: Clock) -> None:
    lease.ask()
    clock.seconds += 2
    lease.renewed(lease.ask())
    assert ends_in(lease, clock, SECONDS)


def test_what_is_over_stays_so_until_another_one_begins(lease: Lease, clock: Clock) -> None:
    number = lease.ask()
    clock.seconds += SECONDS - 1
    assert lease.is_over
    lease.renewed(number)
    assert lease.is_over
    lease.begin(lease.ask(), SECONDS)
    assert ends_in(lease, clock, SECONDS)


def test_without_a_time_it_never_ends_nor_after_one_that_did(lease: Lease, clock: Clock) -> None:
    lease.begin(lease.ask(), None)
    assert not lease.has_end
    clock.seconds += 3600
    lease.renewed(lease.ask())
    assert not lease.is_over


def test_two_renewals_may_be_lost() -> None:
    assert 3 * RENEW_SECONDS <= LEASE / 1000
