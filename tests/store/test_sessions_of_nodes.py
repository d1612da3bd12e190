"""What a controller tells a node in a new session, and what it takes from one that it speaks to no more."""

from sqlalchemy import select

from equipoise.core.traffic import Traffic
from equipoise.proxy.link import AllAssigned, Assign, Goodbye, HealthSeen, SendToNode, ToNode, TrafficSeen
from equipoise.store import nodes, tables
from equipoise.usecases import load_balancers
from tests.store.controller_stand import CALLER, NODE, Stand, open_stand

MEMBER = "127.0.1.1"


class Overheard:
    """What the node is told from now on."""

    def __init__(self, stand: Stand) -> None:
        [self._node] = stand.controller.fleet.attached
        self._send: SendToNode = self._node.send
        self._node.send = self._pass_on
        self.messages: list[ToNode] = []

    def _pass_on(self, message: ToNode) -> None:
        self.messages.append(message)
        self._send(message)

    @property
    def assigned(self) -> list[str]:
        """The load balancers that were told, once for each time."""
        told = [each for each in self.messages if isinstance(each, Assign)]
        return [state.load_balancer_id for each in told for state in each.states]


async def some(stand: Stand, count: int) -> list[str]:
    """Load balancers that are in force."""
    await stand.attached()
    accepted = [await stand.create_load_balancer() for _ in range(count)]
    for each in accepted:
        await stand.ended(each)
    return [each.resource_id for each in accepted]


async def leave_to_another(stand: Stand) -> None:
    """Let the node go, and another one be there, so that jobs end without the first."""
    stand.join("node-2")
    await stand.until(lambda: "node-2" in stand.controller.fleet.sessions)
    stand.node.disconnect()
    await stand.until(lambda: NODE not in stand.controller.fleet.sessions)


async def lose(stand: Stand) -> None:
    """Let another controller take the node over, and wait until this one has noticed and has taken it back."""
    before = stand.controller.fleet.sessions[NODE]
    await stand.write(lambda tx: nodes.attach(tx, NODE))
    stand.node.confirm_all()
    await stand.until(lambda: stand.controller.fleet.sessions.get(NODE, before) != before)


async def test_a_node_that_returns_is_told_what_changed_while_it_was_away_and_nothing_else(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        changed, _ = await some(stand, 2)
        overheard = Overheard(stand)
        await leave_to_another(stand)
        await stand.ended(await stand.create_listener(changed))
        assert overheard.assigned == []
        stand.node.connect()
        await stand.handed_over(changed)
        await stand.ended(await stand.create_listener(changed, 8081))
        assert set(overheard.assigned) == {changed}
        assert AllAssigned() not in overheard.messages


async def test_a_node_that_returns_after_a_load_balancer_has_gone_withdraws_that(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        going, staying = await some(stand, 2)
        await leave_to_another(stand)
        await stand.ended(
            await stand.write(lambda tx: load_balancers.delete_load_balancer(tx, CALLER, stand.policy, going))
        )
        assert going in stand.node.desired
        stand.node.connect()
        await stand.until(lambda: going in stand.node.withdrawn)
        assert staying in stand.node.desired


async def test_a_node_whose_session_was_lost_is_told_everything(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        all_of_them = await some(stand, 2)
        overheard = Overheard(stand)
        await lose(stand)
        await stand.until(lambda: AllAssigned() in overheard.messages)
        assert sorted(overheard.assigned) == sorted(all_of_them)


async def test_a_goodbye_in_an_old_session_changes_nothing(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        await some(stand, 1)
        old = stand.controller.fleet.sessions[NODE]
        await lose(stand)
        new = stand.controller.fleet.sessions[NODE]
        stand.node.say(Goodbye(old))
        await stand.ended(await stand.create_load_balancer())
        assert stand.controller.fleet.sessions[NODE] == new
        assert stand.read(nodes.live) == [NODE]


async def test_what_was_seen_in_an_old_session_is_not_written_down(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        [load_balancer] = await some(stand, 1)
        listener = (await stand.create_listener(load_balancer)).resource_id
        await stand.ended(await stand.add_member(listener, MEMBER))
        old = stand.controller.fleet.sessions[NODE]
        await lose(stand)
        new = stand.controller.fleet.sessions[NODE]
        row, sample = tables.members.c, tables.traffic.c

        def say(session: int, connections: int, *, healthy: bool) -> None:
            stand.node.say(HealthSeen(session, False, {(listener, MEMBER): healthy}))
            stand.node.say(TrafficSeen(session, [Traffic(load_balancer, 0, act_conn=connections)]))

        def written() -> tuple[bool | None, int | None]:
            healthy = stand.read(lambda c: c.execute(select(row.healthy).where(row.address == MEMBER)).scalar())
            return healthy, stand.read(lambda c: c.execute(select(sample.act_conn)).scalar())

        say(new, 1, healthy=True)
        await stand.until(lambda: written() == (True, 1))
        # Written in this order.
        say(old, 2, healthy=False)
        say(new, 3, healthy=True)
        seen = set()

        def is_written() -> bool:
            seen.add(written())
            return (True, 3) in seen

        await stand.until(is_written)
        assert seen <= {(True, 1), (True, 3)}
