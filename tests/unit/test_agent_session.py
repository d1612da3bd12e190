"""With whom an agent speaks, for how long, and what it tells anew in a new session."""

from equipoise.core.traffic import Traffic
from equipoise.proxy.link import (
    AllAssigned,
    Assign,
    Attached,
    Confirmed,
    Detached,
    Goodbye,
    HealthSeen,
    Hello,
    PublishedVersion,
    Removal,
    Renew,
    Renewed,
    ResourcesRejected,
    TrafficSeen,
)
from tests.unit.agent_stand import SESSION, open_agent, rejection, state, udp_state
from tests.unit.turns import settle

MEMBER = ("u-pool", "10.0.0.1")
LEASE = 6.0


def in_force(session: int, **generations: int) -> Confirmed:
    return Confirmed(session, {id: PublishedVersion(each, 10) for id, each in generations.items()})


async def test_an_agent_says_hello_when_its_proxy_comes_and_goodbye_when_it_goes() -> None:
    async with open_agent(attached=False) as stand:
        assert stand.told == []
        await stand.connect()
        assert stand.told == [Hello(1)]
        await stand.attach()
        await stand.disconnect()
        assert stand.told[1:] == [Goodbye(SESSION)]
        await stand.connect()
        assert stand.told[2:] == [Hello(2)]


async def test_without_a_session_nothing_is_told() -> None:
    async with open_agent(attached=False) as stand:
        await stand.say(Assign([state("a"), udp_state("u", {"10.0.0.1": None})]), AllAssigned())
        await stand.connect()
        await stand.confirm(a=1)
        await stand.reject(rejection("a", 1))
        stand.checks.see({MEMBER: False})
        stand.agent.members_seen({MEMBER: True})
        stand.agent.traffic_seen([])
        stand.agent.renew()
        assert stand.told == [Hello(1)]


async def test_what_was_found_out_before_the_session_is_told_at_its_begin_rejections_first() -> None:
    """What is confirmed apart from a rejection is not healed by it."""
    async with open_agent(attached=False) as stand:
        asked: list[int] = []
        stand.agent.when_attached(lambda: asked.append(len(stand.told)))
        await stand.say(Assign([state("a"), state("b"), udp_state("u", {"10.0.0.1": None})]))
        await stand.connect()
        await stand.confirm(a=1, b=1)
        await stand.reject(rejection("b", 1))
        stand.checks.see({MEMBER: False})
        await stand.attach()
        assert stand.told[1:] == [
            ResourcesRejected(SESSION, [rejection("b", 1)]),
            in_force(SESSION, a=1, b=1),
            HealthSeen(SESSION, True, {MEMBER: False}),
        ]
        assert asked == [4]


async def test_all_that_is_told_bears_the_number_of_the_session() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a"), udp_state("u", {"10.0.0.1": None})]))
        await stand.attach(8, LEASE)
        stand.journal.clear()
        await stand.confirm(a=1)
        await stand.reject(rejection("a", 1))
        stand.checks.see({MEMBER: False})
        stand.agent.members_seen({MEMBER: True})
        sample = Traffic("a", 0)
        stand.agent.traffic_seen([sample])
        stand.agent.renew()
        await stand.disconnect()
        assert stand.told == [
            in_force(8, a=1),
            ResourcesRejected(8, (rejection("a", 1),)),
            HealthSeen(8, True, {MEMBER: False}),
            HealthSeen(8, False, {MEMBER: True}),
            TrafficSeen(8, [sample]),
            Renew(8, 2),
            Goodbye(8),
        ]


async def test_a_session_that_was_lost_is_begun_anew_and_everything_told_again_without_the_proxy() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a"), state("b")]))
        await stand.confirm(a=1, b=1)
        await stand.reject(rejection("b", 1))
        stand.journal.clear()
        await stand.say(Detached())
        assert stand.journal == [Hello(2)]
        await stand.attach(8)
        assert stand.journal[1:] == [ResourcesRejected(8, [rejection("b", 1)]), in_force(8, a=1, b=1)]


async def test_a_session_that_is_lost_before_its_begin_was_noticed_is_begun_anew() -> None:
    """The begin waits its turn behind connections that are being cut."""
    async with open_agent(attached=False) as stand:
        await stand.connect()
        await stand.say(Assign([state("a", 1, 10, Removal("a-listener", "10.0.0.1", 1, 0))]))
        stand.cutter.gate.close()
        await stand.confirm(a=1)
        await stand.attach()
        await stand.say(Detached())
        stand.cutter.gate.open()
        await settle()
        assert stand.told[-1] == Hello(2)


async def test_a_new_proxy_has_nothing_in_force_of_what_the_one_before_had() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a"), state("b")]))
        await stand.confirm(a=1)
        await stand.reject(rejection("b", 1))
        await stand.disconnect()
        await stand.connect()
        stand.journal.clear()
        await stand.attach(8)
        assert stand.told == []
        await stand.confirm(a=1)
        assert stand.told == [in_force(8, a=1)]


async def test_a_session_for_a_proxy_that_has_gone_meanwhile_is_given_back() -> None:
    async with open_agent(attached=False) as stand:
        await stand.connect()
        await stand.disconnect()
        await stand.attach()
        assert stand.told == [Hello(1), Goodbye(SESSION)]
        stand.agent.traffic_seen([])
        assert len(stand.told) == 2


async def test_the_answer_to_an_earlier_hello_begins_nothing() -> None:
    async with open_agent(attached=False) as stand:
        await stand.connect()
        await stand.disconnect()
        await stand.connect()
        await stand.say(Attached(SESSION, 1))
        stand.agent.traffic_seen([])
        assert stand.told == [Hello(1), Hello(2)]
        await stand.say(Attached(8, 2))
        stand.agent.traffic_seen([])
        assert stand.told[2:] == [TrafficSeen(8, [])]


async def test_rejections_that_were_overcome_are_not_told_again() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a")]))
        await stand.reject(rejection("a", 1, "one"), rejection("a", 1, "two"))
        await stand.say(Assign([state("a", 2)]))
        await stand.reject(rejection("a", 2, "two"))
        await stand.confirm(a=2)
        stand.journal.clear()
        await stand.attach(8)
        assert stand.told[0] == ResourcesRejected(8, [rejection("a", 2, "two")])


async def test_rejections_of_what_has_gone_are_not_told_again() -> None:
    async with open_agent() as stand:
        await stand.reject(rejection("a", 1))
        stand.journal.clear()
        await stand.attach(8)
        assert stand.told == []


# The lease


async def test_on_a_database_of_one_service_nothing_is_renewed_and_nothing_ends() -> None:
    async with open_agent() as stand:
        stand.clock.seconds += 3600
        stand.agent.renew()
        assert stand.told == []
        stand.agent.traffic_seen([])
        assert stand.told == [TrafficSeen(SESSION, [])]


async def test_a_lease_counts_from_the_hello_and_not_from_its_answer() -> None:
    async with open_agent(attached=False) as stand:
        await stand.connect()
        stand.clock.seconds += 4
        await stand.attach(SESSION, LEASE)
        stand.clock.seconds += 1.9
        stand.agent.renew()
        assert stand.told[1:] == [Renew(SESSION, 2)]
        stand.clock.seconds += 0.1
        stand.agent.renew()
        assert stand.told[2:] == [Hello(3)]


async def test_an_agent_whose_lease_is_over_tells_nothing_and_says_hello_again_without_the_proxy() -> None:
    async with open_agent() as stand:
        await stand.say(Detached())
        await stand.attach(8, LEASE)
        await stand.say(Assign([state("a"), udp_state("u", {"10.0.0.1": None})]))
        stand.agent.renew()
        stand.journal.clear()
        stand.clock.seconds += LEASE
        # As after a pause: all this is noticed before the end of the lease is.
        await stand.confirm(a=1)
        await stand.reject(rejection("u", 1))
        stand.checks.see({MEMBER: False})
        stand.agent.members_seen({MEMBER: True})
        stand.agent.traffic_seen([])
        # Nor does an answer that comes now bring the session back: what was not told in it would be missing.
        await stand.say(Renewed(3), AllAssigned())
        stand.agent.traffic_seen([])
        assert stand.told == []
        stand.agent.renew()
        assert stand.told == [Hello(4)]
        stand.journal.clear()
        await stand.attach(9, LEASE)
        told = [each for each in stand.told if not isinstance(each, HealthSeen)]
        assert told[:2] == [ResourcesRejected(9, [rejection("u", 1)]), in_force(9, a=1)]
        assert HealthSeen(9, True, {MEMBER: False}) in stand.told


async def test_a_goodbye_is_said_also_after_the_end_of_the_lease() -> None:
    async with open_agent() as stand:
        await stand.say(Detached())
        await stand.attach(8, LEASE)
        stand.clock.seconds += LEASE
        await stand.disconnect()
        assert stand.told[-1] == Goodbye(8)
