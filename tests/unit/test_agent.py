"""In what order an agent does what it is told, and when it says that something is in force."""

import asyncio
from collections.abc import Mapping

from equipoise.proxy.link import (
    AcknowledgeRejection,
    AllAssigned,
    Assign,
    Confirmed,
    Gone,
    HealthSeen,
    PublishedVersion,
    Removal,
    Shortfall,
    ShortfallKind,
    UpToDate,
)
from tests.unit.agent_stand import SESSION, AgentStand, open_agent, rejection, state, udp_state
from tests.unit.turns import settle

ONE = "10.0.0.1"
REMOVAL = Removal("a-listener", ONE, 2, 0)


def confirmed(**versions: tuple[int, int]) -> Confirmed:
    return Confirmed(SESSION, {id: PublishedVersion(*version) for id, version in versions.items()})


# What is put in force


async def test_limits_are_in_force_before_the_proxy_is_told() -> None:
    async with open_agent() as stand:
        stand.limits.gate.close()
        await stand.say(Assign([state("a"), state("b")]))
        assert stand.journal == []
        stand.limits.gate.open()
        await settle()
        assert stand.journal == ["limited a", "limited b", "published a@1", "published b@1"]


async def test_what_goes_while_it_is_being_applied_goes_after_that() -> None:
    async with open_agent() as stand:
        stand.limits.gate.close()
        await stand.say(Assign([state("a")]))
        await stand.say(Gone(["a"]))
        stand.limits.gate.open()
        await settle()
        assert stand.journal == ["limited a", "published a@1", "withdrawn a", "unlimited a"]
        assert list(stand.served.listeners) == []


async def test_of_a_flood_of_states_of_one_load_balancer_the_newest_is_put_in_force() -> None:
    async with open_agent() as stand:
        stand.tell(Assign([state("a", 1)]))
        stand.tell(Assign([state("a", 2)]))
        await settle()
        assert stand.journal == ["limited a", "published a@2"]


async def test_others_have_their_turn_while_thousands_are_put_in_force() -> None:
    async with open_agent() as stand:
        turns = 0

        async def another() -> None:
            nonlocal turns
            while len(stand.proxy.models) < 5000:
                turns += 1
                await asyncio.sleep(0)

        stand.tell(Assign([state(str(number)) for number in range(5000)]))
        await another()
        assert turns > 5000 / 300


async def test_once_all_is_assigned_and_handed_over_the_proxy_may_begin_and_the_controller_hears_of_it() -> None:
    async with open_agent() as stand:
        stand.limits.gate.close()
        await stand.say(Assign([state("a")]), AllAssigned())
        assert stand.journal == []
        stand.limits.gate.open()
        await settle()
        done = ["limited a", "published a@1", "limits ready", "ready", UpToDate(SESSION)]
        assert stand.journal == done
        await stand.say(AllAssigned())
        assert stand.journal == [*done, UpToDate(SESSION)]


async def test_that_all_is_handed_over_is_told_in_the_next_session_where_there_is_none() -> None:
    """The controller does not say again that it has assigned everything."""
    async with open_agent() as stand:
        stand.limits.gate.close()
        await stand.say(Assign([state("a")]), AllAssigned())
        await stand.disconnect()
        stand.limits.gate.open()
        await settle()
        assert UpToDate(SESSION) not in stand.journal
        await stand.connect()
        await stand.attach(8)
        assert stand.told[-1] == UpToDate(8)
        await stand.disconnect()
        await stand.connect()
        await stand.attach(9)
        assert UpToDate(9) not in stand.journal


# What is not assigned any more


async def test_what_was_not_assigned_in_this_session_is_gone_at_its_end_and_nothing_else() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a"), state("b"), state("c")]), AllAssigned())
        await stand.attach(8)
        await stand.say(Assign([state("a")]))
        await stand.say(Assign([state("d")]))
        assert set(stand.proxy.models) == {"a", "b", "c", "d"}
        await stand.say(AllAssigned())
        assert set(stand.proxy.models) == {"a", "d"}
        assert "unlimited b" in stand.journal
        # Nor is it gone at the end of the next one, in which everything is assigned.
        await stand.attach(9)
        await stand.say(Assign([state("a"), state("d")]), AllAssigned())
        assert set(stand.proxy.models) == {"a", "d"}


async def test_what_another_session_did_not_come_to_assign_counts_for_nothing() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a"), state("b")]), AllAssigned())
        await stand.attach(8)
        await stand.say(Assign([state("a")]))
        await stand.attach(9)
        await stand.say(Assign([state("b")]), AllAssigned())
        assert set(stand.proxy.models) == {"b"}


async def test_what_was_assigned_before_and_was_not_put_in_force_yet_is_gone_too() -> None:
    async with open_agent() as stand:
        stand.limits.gate.close()
        # The one is being applied, the other waits for its turn.
        await stand.say(Assign([state("a")]))
        await stand.say(Assign([state("b")]))
        await stand.attach(8)
        await stand.say(AllAssigned())
        stand.limits.gate.open()
        await settle()
        assert stand.proxy.models == {}


async def test_what_has_gone_is_withdrawn_once() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a"), state("b")]), Gone(["a"]))
        await stand.attach(8)
        await stand.say(Gone(["b"]))
        stand.journal.clear()
        await stand.say(AllAssigned())
        await stand.say(AllAssigned())
        assert not [each for each in stand.journal if isinstance(each, str) and each.startswith("withdrawn")]


async def test_what_has_gone_and_is_assigned_again_stays() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a")]), Gone(["a"]))
        await stand.attach(8)
        await stand.say(Assign([state("a")]), AllAssigned())
        assert set(stand.proxy.models) == {"a"}


# What is confirmed


async def test_a_version_is_confirmed_when_the_proxy_has_its_generation_in_force() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a", 3, 30)]))
        assert stand.told == []
        await stand.confirm(a=3)
        assert stand.told == [confirmed(a=(3, 30))]


async def test_an_older_generation_is_confirmed_with_its_own_version() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a", 3, 30)]))
        await stand.say(Assign([state("a", 4, 40)]))
        await stand.confirm(a=3)
        await stand.confirm(a=4)
        # The proxy does not go back.
        await stand.confirm(a=3)
        assert stand.told == [confirmed(a=(3, 30)), confirmed(a=(4, 40))]


async def test_nothing_is_confirmed_that_was_never_assigned_or_has_gone() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a"), state("b")]), Gone(["a"]))
        await stand.confirm(a=1, b=1, c=1)
        assert stand.told == [confirmed(b=(1, 10))]


async def test_a_newer_revision_of_what_is_in_force_is_confirmed_at_once() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a", 3, 30), state("b", 3, 30)]))
        await stand.confirm(a=3)
        stand.journal.clear()
        await stand.say(Assign([state("a", 3, 31), state("b", 3, 31)]))
        assert stand.told == [confirmed(a=(3, 31))]
        # That is known in the next session.
        await stand.attach(8)
        assert stand.told[-1] == Confirmed(8, {"a": PublishedVersion(3, 31)})


async def test_an_older_revision_is_of_a_database_that_fell_back_and_is_not_confirmed_at_once() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a", 3, 30)]))
        await stand.confirm(a=3)
        stand.journal.clear()
        await stand.say(Assign([state("a", 3, 29)]))
        assert stand.told == []


async def test_a_newer_revision_is_not_confirmed_for_a_proxy_that_has_nothing_in_force_yet() -> None:
    """Its coming waits its turn behind connections that are being cut."""
    async with open_agent() as stand:
        await stand.say(Assign([state("a", 2, 20, REMOVAL), state("b", 3, 30)]))
        await stand.confirm(b=3)
        stand.cutter.gate.close()
        await stand.confirm(a=2)
        await stand.disconnect()
        await stand.connect()
        await stand.say(Assign([state("b", 3, 31)]))
        stand.cutter.gate.open()
        await settle()
        await stand.attach(8)
        assert not [each for each in stand.told if isinstance(each, Confirmed) and each.session == 8]
        assert confirmed(b=(3, 31)) not in stand.told


async def test_connections_are_cut_before_the_removal_is_confirmed() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a", 2, 20, REMOVAL)]))
        assert f"cut a-listener {ONE}" not in stand.journal
        stand.cutter.gate.close()
        await stand.confirm(a=2)
        assert stand.told == []
        stand.cutter.gate.open()
        await settle()
        assert stand.journal[-2:] == [f"cut a-listener {ONE}", confirmed(a=(2, 20))]


async def test_what_falls_short_is_said_with_what_is_confirmed() -> None:
    async with open_agent() as stand:
        stand.cutter.why_not = "no privilege"
        stand.limits.unavailable_reason = "no nftables"
        await stand.say(Assign([state("a", 2, 20, REMOVAL), state("b")]))
        await stand.confirm(a=2, b=1)
        [told] = stand.told
        assert isinstance(told, Confirmed)
        assert told.shortfalls == (
            Shortfall(ShortfallKind.CONNECTIONS, "no privilege", frozenset({"a"})),
            Shortfall(ShortfallKind.BANDWIDTH, "no nftables", frozenset({"a", "b"})),
        )


async def test_that_a_rejection_is_known_is_passed_on() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([state("a", 2)]))
        await stand.reject(rejection("a", 2))
        await stand.say(AcknowledgeRejection("a", 2))
        assert stand.journal[-1] == "acknowledged a@2"


# Members that are checked here


def served(stand: AgentStand) -> Mapping[str, bool | None]:
    """What the proxy is told of the members."""
    [pool] = stand.proxy.models["u"].pools
    return {member.address: member.healthy for member in pool.members}


async def test_a_member_that_turns_is_served_so_at_once_also_without_a_controller() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([udp_state("u", {ONE: None})]))
        await stand.disconnect()
        stand.journal.clear()
        stand.checks.see({("u-pool", ONE): False})
        assert stand.journal == ["published u@1"]
        assert served(stand) == {ONE: False}


async def test_what_is_seen_of_members_is_told() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([udp_state("u", {ONE: None})]))
        stand.checks.see({("u-pool", ONE): False})
        assert stand.told == [HealthSeen(SESSION, True, {("u-pool", ONE): False})]
        stand.agent.members_seen({("p", ONE): True})
        assert stand.told[1:] == [HealthSeen(SESSION, False, {("p", ONE): True})]


async def test_what_is_seen_here_outweighs_what_the_controller_knows() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([udp_state("u", {ONE: None})]))
        stand.checks.see({("u-pool", ONE): False})
        await stand.say(Assign([udp_state("u", {ONE: True}, 2)]))
        assert served(stand) == {ONE: False}


async def test_what_the_controller_does_not_know_of_members_is_told_again() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([udp_state("u", {ONE: None})]))
        stand.checks.see({("u-pool", ONE): False})
        stand.journal.clear()
        await stand.say(Assign([udp_state("u", {ONE: False}, 2)]))
        assert stand.told == []
        await stand.say(Assign([udp_state("u", {ONE: None}, 3)]))
        assert stand.told == [HealthSeen(SESSION, True, {("u-pool", ONE): False})]


async def test_members_of_what_has_gone_are_not_checked_any_more() -> None:
    async with open_agent() as stand:
        await stand.say(Assign([udp_state("u", {ONE: None})]), Gone(["u"]))
        assert list(stand.checks.targets.get("u", ())) == []
        await stand.say(Assign([udp_state("u", {ONE: None})]))
        assert len(stand.checks.targets["u"]) == 1
        await stand.say(Gone(["u"]))
        assert list(stand.checks.targets["u"]) == []
