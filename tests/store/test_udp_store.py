"""Members that a node checks over UDP: whom it is told to check, and what it serves and tells by what it sees."""

from equipoise.api.classic.handlers.health_checks import create_health_check
from equipoise.api.classic.handlers.listeners import update_listener
from equipoise.backends.envoy.build.type_urls import ENDPOINTS
from equipoise.store import members as members_store
from equipoise.usecases import health_monitors, members
from equipoise.usecases.context import Accepted
from tests.store.controller_stand import CALLER, Stand, open_stand

ONE, TWO = "127.0.1.1", "127.0.1.2"


async def a_udp_listener(stand: Stand) -> tuple[str, str]:
    """The ids of a load balancer and of its listener, which has two members."""
    load_balancer = (await stand.create_load_balancer()).resource_id
    created = await stand.create_listener(load_balancer, protocol="UDP", backend_protocol="UDP")
    for address in (ONE, TWO):
        await stand.ended(await stand.add_member(created.resource_id, address))
    return load_balancer, created.resource_id


async def a_check(stand: Stand, listener: str) -> Accepted:
    body = {
        "listener_id": listener,
        "healthcheck_protocol": "UDP",
        "healthcheck_connect_port": 99,
        "healthy_threshold": 2,
        "unhealthy_threshold": 3,
        "healthcheck_timeout": 4,
        "healthcheck_interval": 5,
    }
    accepted = await stand.write(lambda tx: create_health_check(tx, CALLER, stand.policy, body))
    await stand.ended(accepted)
    return accepted


def served(stand: Stand, load_balancer: str) -> list[bool]:
    """Whether each of the two members is in the published member list."""
    [body] = [each.body for each in stand.node.desired[load_balancer].resources if each.type_url == ENDPOINTS]
    return [address.encode() in body for address in (ONE, TWO)]


def known(stand: Stand, listener: str) -> dict[str, bool | None]:
    """What is stored of the health of members, by address."""
    views = stand.read(lambda c: members.list_members(c, CALLER, listener, (), None, None, None))
    return {view.member.address: view.member.healthy for view in views}


async def test_members_are_checked_while_there_is_a_check_and_the_listener_serves(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        load_balancer, listener = await a_udp_listener(stand)
        assert load_balancer not in stand.checks.targets
        await a_check(stand, listener)
        found = stand.checks.targets[load_balancer]
        assert {(each.address, each.port, each.healthy) for each in found} == {(ONE, 99, None), (TWO, 99, None)}
        assert {(each.interval, each.timeout, each.healthy_threshold, each.unhealthy_threshold) for each in found} == {
            (5, 4, 2, 3)
        }
        stop = {"admin_state_up": False}
        await stand.ended(await stand.write(lambda tx: update_listener(tx, CALLER, stand.policy, listener, stop)))
        assert stand.checks.targets[load_balancer] == []


async def test_a_failing_member_is_left_out_within_the_generation_until_it_or_the_check_is_gone(
    database_url: str,
) -> None:
    async with open_stand(database_url) as stand:
        load_balancer, listener = await a_udp_listener(stand)
        check = await a_check(stand, listener)
        await stand.handed_over(load_balancer)
        generation = stand.node.desired[load_balancer].generation
        assert served(stand, load_balancer) == [True, True]

        stand.checks.see({(listener, ONE): False, (listener, TWO): True})
        assert served(stand, load_balancer) == [False, True]
        assert stand.node.desired[load_balancer].generation == generation
        await stand.until(lambda: known(stand, listener) == {ONE: False, TWO: True})

        stand.checks.see({(listener, ONE): True})
        assert served(stand, load_balancer) == [True, True]
        await stand.until(lambda: known(stand, listener) == {ONE: True, TWO: True})

        stand.checks.see({(listener, ONE): False})
        assert served(stand, load_balancer) == [False, True]
        await stand.ended(
            await stand.write(
                lambda tx: health_monitors.delete_health_monitor(tx, CALLER, stand.policy, check.resource_id)
            )
        )
        assert served(stand, load_balancer) == [True, True]


async def test_a_change_of_something_else_does_not_bring_a_failing_member_back(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        load_balancer, listener = await a_udp_listener(stand)
        await a_check(stand, listener)
        stand.checks.see({(listener, ONE): False})
        await stand.ended(await stand.create_listener(load_balancer, 9090))
        [body] = [
            each.body
            for each in stand.node.desired[load_balancer].resources
            if each.type_url == ENDPOINTS and each.name == listener
        ]
        assert ONE.encode() not in body


async def test_what_was_seen_is_known_to_the_next_service(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        load_balancer, listener = await a_udp_listener(stand)
        await a_check(stand, listener)
        stand.checks.see({(listener, ONE): False})
        await stand.until(lambda: known(stand, listener)[ONE] is False)
    async with open_stand(database_url) as stand:
        await stand.handed_over(load_balancer)
        assert {each.address: each.healthy for each in stand.checks.targets[load_balancer]} == {ONE: False, TWO: None}
        assert served(stand, load_balancer) == [False, True]


async def test_what_is_seen_is_told_once_there_is_a_session_again(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        _, listener = await a_udp_listener(stand)
        await a_check(stand, listener)
        stand.node.disconnect()
        await stand.until(lambda: not stand.controller.fleet.sessions)
        stand.checks.see({(listener, TWO): False})
        stand.node.connect()
        await stand.until(lambda: known(stand, listener) == {ONE: None, TWO: False})


async def test_what_is_known_of_a_member_is_told_again_when_the_database_has_forgotten_it(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        load_balancer, listener = await a_udp_listener(stand)
        await a_check(stand, listener)
        stand.checks.see({(listener, ONE): False})
        await stand.until(lambda: known(stand, listener)[ONE] is False)
        await stand.write(lambda tx: members_store.forget_health(tx.connection, listener))
        await stand.ended(await stand.create_listener(load_balancer, 9090))
        await stand.until(lambda: known(stand, listener) == {ONE: False, TWO: None})


async def test_what_a_proxy_says_of_members_over_udp_is_not_written_down(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        _, listener = await a_udp_listener(stand)
        await a_check(stand, listener)
        stand.checks.see({(listener, ONE): False})
        await stand.until(lambda: known(stand, listener) == {ONE: False, TWO: None})
        await stand.write(lambda tx: members_store.observe_health(tx, {(listener, ONE): True, (listener, TWO): True}))
        assert known(stand, listener) == {ONE: False, TWO: None}
