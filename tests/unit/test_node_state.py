"""One node's state: examples of each rule, and a random life against a simulated Envoy."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from equipoise.backends.envoy.build.names import listener_name
from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.type_urls import CLUSTER, ENDPOINTS, FILTER, LISTENER, SECRET
from equipoise.backends.envoy.xds.desired import DesiredResources, DesiredStates, key_of
from equipoise.backends.envoy.xds.exchange import Consequences, NodeRequest
from equipoise.backends.envoy.xds.node_state import NodeState
from equipoise.core.references import NOTHING, Scope, listeners
from equipoise.proxy.model import ListenAddress, Transport
from equipoise.proxy.rejections import RejectedResource
from tests.unit.simulated_envoy import TCP, TLS, WHOLE, SimulatedEnvoy


def a_resource(
    type_url: str, name: str, owner: str, *content: object, leads_to: str = "", concerns: Scope = NOTHING
) -> Resource:
    body = b" ".join(each if isinstance(each, bytes) else repr(each).encode() for each in content)
    version = blake2b(body, digest_size=8).hexdigest()
    return Resource(type_url, name, version, body, owner, leads_to, concerns=concerns or listeners(owner))


@dataclass(frozen=True)
class Wanted:
    """A listener as far as these tests care: contents are mere numbers. `pool` is "" for one that is private to it."""

    listener_id: str
    port: int = 80
    cluster: object = 0
    members: object = 0
    listener: object = 0
    filter: object = None
    secret: object = None
    pool: str = ""

    @property
    def leads_to(self) -> str:
        return self.pool or self.listener_id

    def of_its_pool(self, users: Scope) -> list[Resource]:
        return [
            a_resource(CLUSTER, self.leads_to, self.leads_to, self.cluster, concerns=users),
            a_resource(ENDPOINTS, self.leads_to, self.leads_to, self.members, concerns=users),
        ]

    def resources(self, load_balancer_id: str) -> list[Resource]:
        name = self.listener_id
        kind = (b"" if self.filter is None else TCP) + (b"" if self.secret is None else TLS)
        built = [
            a_resource(
                LISTENER,
                listener_name(load_balancer_id, Transport.TCP, self.port),
                name,
                self.leads_to,
                self.listener,
                kind,
                leads_to=self.leads_to,
            ),
        ]
        if self.filter is not None:
            built.append(a_resource(FILTER, name, name, self.filter))
        if self.secret is not None:
            built.append(a_resource(SECRET, name, name, self.secret))
        return built


def spoiled(wanted: Wanted, kind: str) -> Wanted:
    content: dict[str, Any] = {kind: WHOLE}
    return replace(wanted, **content)


def desired(load_balancer_id: str, generation: int, *wanted: Wanted) -> DesiredResources:
    resources: list[Resource] = []
    # Of listeners on one pool the first says what that is.
    for pool_id, first in {each.leads_to: each for each in reversed(wanted)}.items():
        resources += first.of_its_pool(listeners(*(each.listener_id for each in wanted if each.leads_to == pool_id)))
    resources += (resource for each in wanted for resource in each.resources(load_balancer_id))
    return DesiredResources(load_balancer_id, generation, tuple(resources))


class Wire:
    """A node's state and a simulated Envoy, and what lies between them."""

    def __init__(self) -> None:
        self.states = DesiredStates()
        self.states.ready = True
        self.envoy = SimulatedEnvoy()
        self.confirmed: list[tuple[str, int]] = []
        self.rejected: list[RejectedResource] = []
        self.pushed: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        self.connect()

    def connect(self) -> None:
        self.node = NodeState(self.states)
        self.confirmed.clear()
        self.envoy.connect()

    def restart(self, states: list[DesiredResources]) -> None:
        self.states = DesiredStates()
        for each in states:
            self.states.put(each)
        self.states.ready = True
        self.connect()

    def publish(self, *states: DesiredResources) -> None:
        for each in states:
            self.states.put(each)
            self.node.moved((each.load_balancer_id,))

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        self.states.acknowledge_rejection(load_balancer_id, generation)
        self.node.moved((load_balancer_id,))

    def forget(self, load_balancer_id: str) -> None:
        self.states.drop(load_balancer_id)
        self.node.moved((load_balancer_id,))

    def advance(self) -> Consequences:
        outcome = self.node.advance()
        self.confirmed += outcome.confirmed.items()
        self.rejected += outcome.rejected
        for push in outcome.pushes:
            self.pushed.append((push.type_url, tuple(each.name for each in push.resources), push.removed))
            self.envoy.send(push)
        return outcome

    def hear(self) -> Consequences:
        self.node.receive(self.envoy.outbox.popleft())
        return self.advance()

    def run(self) -> None:
        """Let everything happen that will."""
        self.advance()
        for _ in range(10_000):
            if self.envoy.outbox:
                self.hear()
            elif self.envoy.inbox:
                self.envoy.take()
            else:
                return
        raise AssertionError("it never comes to rest")

    def listening(self) -> set[str]:
        return set(self.envoy.held[LISTENER])


LISTEN_ADDRESS = ListenAddress(Transport.UDP, "10.0.0.5", 80)


def at_place(state: DesiredResources) -> DesiredResources:
    """The same with listeners that say what they occupy."""
    resources = [
        replace(each, listen_address=LISTEN_ADDRESS) if each.type_url == LISTENER else each for each in state.resources
    ]
    return replace(state, resources=tuple(resources))


def test_a_starting_envoy_is_told_of_no_listeners_only_if_none_are_to_come() -> None:
    wire = Wire()
    wire.publish(desired("a", 1, Wanted("l1")), desired("b", 1, Wanted("l2", port=81)))
    wire.run()
    assert [push for push in wire.pushed if push[0] == LISTENER] == [(LISTENER, ("a/tcp/80", "b/tcp/81"), ())]
    without = Wire()
    without.publish(desired("a", 1))
    without.run()
    assert (LISTENER, (), ()) in without.pushed


def test_what_is_asked_for_while_a_push_of_the_kind_is_under_way_waits_for_the_answer() -> None:
    wire = a_wire(*(desired(each, 1, Wanted(f"l-{each}", filter=1)) for each in "ab"))
    wire.publish(desired("a", 2, Wanted("l-a", filter=2)))
    wire.advance()
    assert not wire.node.receive(NodeRequest(FILTER, subscribe=("l-b",)))
    assert wire.node.receive(NodeRequest(FILTER, subscribe=("l-b",), unsubscribe=("l-a",)))
    assert wire.node.receive(NodeRequest(SECRET, subscribe=("l-b",)))
    wire.run()
    assert wire.pushed[-1] == (FILTER, ("l-b",), ())


def test_a_listener_whose_place_somebody_else_has_is_refused_and_never_sent() -> None:
    wire = Wire()
    wire.node = NodeState(wire.states, lambda place: place != LISTEN_ADDRESS)
    wire.publish(at_place(desired("a", 1, Wanted("l1"))), desired("b", 1, Wanted("l2", port=81)))
    wire.run()
    assert wire.listening() == {"b/tcp/81"}
    [rejected] = wire.rejected
    assert (rejected.load_balancer_id, rejected.generation, rejected.concerns) == ("a", 1, listeners("l1"))
    assert rejected.reason == "cannot listen on 10.0.0.5:80: the port is in use already"
    assert wire.confirmed == [("b", 1)]
    wire.acknowledge_rejection("a", 1)
    wire.run()
    assert ("a", 1) in wire.confirmed


def test_a_listener_that_the_node_has_is_changed_in_place_without_asking_whose_it_is() -> None:
    free = True
    wire = Wire()
    wire.node = NodeState(wire.states, lambda _: free)
    wire.publish(at_place(desired("a", 1, Wanted("l1"))))
    wire.run()
    free = False
    wire.publish(at_place(desired("a", 2, Wanted("l1", listener=1))))
    wire.run()
    assert wire.rejected == []
    assert wire.confirmed == [("a", 1), ("a", 2)]


def test_a_place_that_becomes_free_is_taken_with_the_next_generation() -> None:
    taken = [LISTEN_ADDRESS]
    wire = Wire()
    wire.node = NodeState(wire.states, lambda place: place not in taken)
    wire.publish(at_place(desired("a", 1, Wanted("l1"))))
    wire.run()
    taken.clear()
    wire.publish(at_place(desired("a", 2, Wanted("l1"))))
    wire.run()
    assert wire.listening() == {"a/tcp/80"}
    assert wire.confirmed == [("a", 2)]


def test_what_changes_within_a_generation_is_sent_and_the_generation_not_confirmed_again() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1", members=2)))
    wire.confirmed.clear()
    wire.publish(desired("a", 1, Wanted("l1", members=1)))
    wire.run()
    assert wire.pushed == [(ENDPOINTS, ("l1",), ())]
    assert wire.confirmed == []


def a_wire(*states: DesiredResources) -> Wire:
    wire = Wire()
    wire.publish(*states)
    wire.run()
    wire.pushed.clear()
    return wire


class CountingStates(DesiredStates):
    """Counts how often the comparison looks at a load balancer."""

    looks = 0

    def get(self, load_balancer_id: str) -> DesiredResources | None:
        self.looks += 1
        return super().get(load_balancer_id)


def test_what_envoy_asks_for_one_by_one_costs_no_look_at_all_the_others() -> None:
    number = 300
    wire = Wire()
    wire.states = states = CountingStates()
    wire.states.ready = True
    wire.connect()
    wire.publish(*(desired(f"lb{each}", 1, Wanted(f"l{each}", filter=each)) for each in range(number)))
    wire.advance()
    while wire.envoy.outbox or wire.envoy.inbox:
        if not wire.envoy.outbox:
            wire.envoy.take()
            wire.envoy.outbox = deque(single for request in wire.envoy.outbox for single in one_by_one(request))
        wire.hear()
    assert len(wire.confirmed) == number
    assert states.looks <= 20 * number


def one_by_one(request: NodeRequest) -> Iterator[NodeRequest]:
    if request.type_url == FILTER and request.subscribe:
        yield from (replace(request, subscribe=(name,)) for name in request.subscribe)
    else:
        yield request


def test_a_load_balancer_is_confirmed_when_all_of_it_is_accepted() -> None:
    wire = a_wire(desired("a", 3, Wanted("l1", filter=1)))
    assert wire.confirmed == [("a", 3)]
    assert wire.listening() == {"a/tcp/80"}
    assert wire.envoy.held[FILTER].keys() == {"l1"}


def test_only_what_changed_is_sent() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1")), desired("b", 1, Wanted("l2")))
    wire.publish(desired("a", 2, Wanted("l1", members=1)))
    wire.run()
    assert wire.pushed == [(ENDPOINTS, ("l1",), ())]
    assert wire.confirmed[-1] == ("a", 2)


def test_a_generation_that_changes_nothing_is_confirmed_without_a_push() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1")))
    wire.publish(desired("a", 2, Wanted("l1")), desired("nothing", 7))
    wire.run()
    assert not wire.pushed
    assert wire.confirmed[1:] == [("a", 2), ("nothing", 7)]


def test_each_generation_is_confirmed_once_and_again_to_a_new_stream() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1")))
    wire.publish(desired("a", 1, Wanted("l1")))
    wire.run()
    assert wire.confirmed == [("a", 1)]
    wire.connect()
    wire.run()
    assert wire.confirmed == [("a", 1)]


def test_an_older_generation_is_not_taken_over() -> None:
    wire = a_wire(desired("a", 2, Wanted("l1")))
    wire.publish(desired("a", 1))
    wire.run()
    assert wire.listening() == {"a/tcp/80"}


def test_changes_that_come_while_a_push_is_under_way_are_sent_together() -> None:
    wire = a_wire(*(desired(each, 1, Wanted(f"l-{each}")) for each in "abc"))
    for each in "abc":
        wire.publish(desired(each, 2, Wanted(f"l-{each}", members=1)))
        wire.advance()
    wire.run()
    assert wire.pushed == [(ENDPOINTS, ("l-a",), ()), (ENDPOINTS, ("l-b", "l-c"), ())]


def test_members_are_sent_again_after_their_cluster() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1")))
    wire.publish(desired("a", 2, Wanted("l1", cluster=1)))
    wire.advance()
    assert [type_url for type_url, _, _ in wire.pushed] == [CLUSTER, ENDPOINTS]
    wire.run()
    assert not wire.envoy.warming
    assert wire.confirmed[-1] == ("a", 2)


def test_the_answer_to_members_sent_before_their_cluster_does_not_count() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1")))
    wire.publish(desired("a", 2, Wanted("l1", members=1)))
    wire.advance()
    wire.publish(desired("a", 3, Wanted("l1", members=1, cluster=1)))
    wire.run()
    assert [type_url for type_url, _, _ in wire.pushed] == [ENDPOINTS, CLUSTER, ENDPOINTS]
    assert not wire.envoy.warming


def test_a_port_changes_by_adding_the_new_one_before_the_old_one_goes() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1", port=80)))
    wire.publish(desired("a", 2, Wanted("l1", port=81)))
    wire.run()
    assert wire.pushed == [(LISTENER, ("a/tcp/81",), ()), (LISTENER, (), ("a/tcp/80",))]
    assert wire.confirmed[-1] == ("a", 2)


def test_a_new_port_that_is_refused_does_not_take_the_old_one_away() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1", port=80), Wanted("l2", port=90)))
    wire.envoy.taken.add("a/tcp/81")
    wire.publish(desired("a", 2, Wanted("l1", port=81)))
    wire.run()
    assert wire.listening() == {"a/tcp/80"}, "l2 was deleted and has nothing to do with the rejection"
    assert wire.confirmed == [("a", 1)]
    [rejected] = wire.rejected
    assert (rejected.load_balancer_id, rejected.generation, rejected.concerns) == ("a", 2, listeners("l1"))
    assert rejected.resource == "a/tcp/81"


def test_a_deleted_listener_and_a_new_one_on_its_port_are_one_change_in_place() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1")))
    wire.publish(desired("a", 2, Wanted("l2")))
    wire.run()
    assert [push for push in wire.pushed if push[0] == LISTENER] == [(LISTENER, ("a/tcp/80",), ())]
    assert wire.pushed[-1] == (CLUSTER, (), ("l1",))


def test_a_listener_goes_before_its_cluster() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1", filter=1)))
    wire.publish(desired("a", 2))
    wire.run()
    assert wire.pushed == [(LISTENER, (), ("a/tcp/80",)), (CLUSTER, (), ("l1",))]
    assert wire.confirmed[-1] == ("a", 2)


def test_what_was_refused_is_not_sent_again_before_a_higher_generation() -> None:
    wire = a_wire()
    wire.envoy.taken.add("a/tcp/80")
    wire.publish(desired("a", 1, Wanted("l1")))
    wire.run()
    wire.publish(desired("a", 1, Wanted("l1")), desired("b", 1, Wanted("l2")))
    wire.run()
    assert len(wire.rejected) == 1
    wire.envoy.taken.clear()
    wire.publish(desired("a", 2, Wanted("l1")))
    wire.run()
    assert wire.confirmed == [("b", 1), ("a", 2)]


def test_what_was_refused_is_sent_again_on_a_new_stream() -> None:
    wire = a_wire()
    wire.envoy.taken.add("a/tcp/80")
    wire.publish(desired("a", 1, Wanted("l1")))
    wire.run()
    wire.connect()
    wire.run()
    assert len(wire.rejected) == 2


def test_an_acknowledged_rejection_does_not_hold_its_generation_up_but_the_next_one() -> None:
    wire = a_wire()
    wire.envoy.taken.add("a/tcp/80")
    wire.publish(desired("a", 1, Wanted("l1"), Wanted("l2", port=90)))
    wire.run()
    wire.acknowledge_rejection("a", 1)
    wire.run()
    assert wire.confirmed == [("a", 1)]
    wire.publish(desired("a", 2, Wanted("l1"), Wanted("l2", port=90)))
    wire.acknowledge_rejection("a", 1)
    wire.run()
    assert wire.confirmed == [("a", 1)]
    assert [rejected.generation for rejected in wire.rejected] == [1, 2]


def test_settling_before_the_refusal_counts_as_well() -> None:
    wire = a_wire()
    wire.envoy.taken.add("a/tcp/80")
    wire.publish(desired("a", 1, Wanted("l1")))
    wire.acknowledge_rejection("a", 1)
    wire.run()
    assert wire.confirmed == [("a", 1)]


def test_going_back_to_what_was_in_force_confirms_without_a_push() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1", port=80)))
    wire.envoy.taken.add("a/tcp/81")
    wire.publish(desired("a", 2, Wanted("l1", port=81)))
    wire.run()
    wire.pushed.clear()
    wire.publish(desired("a", 3, Wanted("l1", port=80)))
    wire.run()
    assert not wire.pushed
    assert wire.confirmed == [("a", 1), ("a", 3)]


def test_a_bad_resource_is_found_among_good_ones() -> None:
    for kind in ("cluster", "members", "listener", "filter"):
        bad = spoiled(Wanted("bad", filter=1), kind)
        others = [desired(f"good-{number}", 1, Wanted(f"l{number}", filter=1)) for number in range(9)]
        wire = a_wire(*others[:4], desired("x", 1, bad), *others[4:])
        assert {name for name, _ in wire.confirmed} == {each.load_balancer_id for each in others}
        [rejected] = wire.rejected
        assert (rejected.load_balancer_id, rejected.concerns) == ("x", listeners("bad"))


def test_nothing_is_built_on_a_cluster_that_was_refused() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1", cluster=WHOLE, filter=1)))
    assert not wire.listening()
    wire.acknowledge_rejection("a", 1)
    wire.run()
    assert wire.confirmed == [("a", 1)]


def test_all_that_lead_to_a_pool_wait_for_it_and_it_goes_with_the_last_of_them() -> None:
    first, second = Wanted("l1", pool="p"), Wanted("l2", port=81, filter=1, pool="p")
    wire = a_wire(desired("a", 1, first))
    wire.publish(desired("a", 2, first, second))
    wire.run()
    # Nothing of the pool is sent again.
    assert [(type_url, names) for type_url, names, _ in wire.pushed] == [(LISTENER, ("a/tcp/81",)), (FILTER, ("l2",))]
    wire.pushed.clear()
    changed = replace(first, listener=1, cluster=1)
    wire.publish(desired("a", 3, changed, replace(second, listener=1)))
    wire.run()
    assert [type_url for type_url, _, _ in wire.pushed] == [CLUSTER, ENDPOINTS, LISTENER]
    assert wire.confirmed == [("a", 1), ("a", 2), ("a", 3)]
    wire.publish(desired("a", 4, replace(second, listener=1, cluster=1)))
    wire.run()
    assert wire.envoy.held[CLUSTER].keys() == {"p"}
    wire.publish(desired("a", 5))
    wire.run()
    assert not wire.envoy.held[CLUSTER]
    assert wire.confirmed[-1] == ("a", 5)


def test_a_pool_that_is_refused_concerns_all_that_lead_to_it_and_nobody_else() -> None:
    on_it = [Wanted(f"l{number}", port=80 + number, cluster=WHOLE, pool="p") for number in (1, 2)]
    wire = a_wire(desired("a", 1, *on_it, Wanted("l3", port=83)))
    assert wire.listening() == {"a/tcp/83"}
    [rejected] = wire.rejected
    assert (rejected.resource, rejected.concerns) == ("p", listeners("l1", "l2"))
    assert wire.confirmed == []
    wire.publish(desired("a", 2, *(replace(each, cluster=0) for each in on_it), Wanted("l3", port=83)))
    wire.run()
    assert wire.listening() == {"a/tcp/81", "a/tcp/82", "a/tcp/83"}
    assert wire.confirmed == [("a", 2)]


def test_a_stream_that_returns_is_sent_differences_and_all_members() -> None:
    states = [desired("a", 1, Wanted("l1")), desired("b", 1, Wanted("l2")), desired("gone", 1, Wanted("l3"))]
    wire = a_wire(*states)
    wire.restart([states[0], desired("b", 2, Wanted("l2", listener=1))])
    wire.pushed.clear()
    wire.run()
    assert wire.confirmed == [("a", 1), ("b", 2)]
    assert wire.listening() == {"a/tcp/80", "b/tcp/80"}
    assert wire.envoy.held[CLUSTER].keys() == {"l1", "l2"}
    assert sorted(name for type_url, names, _ in wire.pushed if type_url == LISTENER for name in names) == ["b/tcp/80"]
    assert not [names for type_url, names, _ in wire.pushed if type_url == CLUSTER and names]


def test_a_port_that_changed_while_nobody_served_is_added_before_the_old_one_goes() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1", port=80)))
    wire.restart([desired("a", 2, Wanted("l1", port=81))])
    wire.envoy.taken.add("a/tcp/81")
    wire.run()
    assert wire.listening() == {"a/tcp/80"}
    wire.envoy.taken.clear()
    wire.publish(desired("a", 3, Wanted("l1", port=81)))
    wire.run()
    assert wire.listening() == {"a/tcp/81"}


def test_nothing_is_sent_before_the_desired_state_is_complete() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1")))
    wire.restart([])
    wire.states.ready = False
    wire.run()
    assert wire.listening() == {"a/tcp/80"}
    wire.publish(desired("a", 1, Wanted("l1")))
    wire.run()
    assert not wire.pushed
    wire.states.ready = True
    wire.run()
    assert wire.listening() == {"a/tcp/80"}
    assert wire.confirmed == [("a", 1)]


def test_a_forgotten_load_balancer_is_removed_wherever_it_still_is() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1")))
    wire.forget("a")
    wire.run()
    assert not wire.listening()
    assert not wire.envoy.held[CLUSTER]


def test_the_first_certificate_is_sent_when_the_node_asks_for_it_which_it_does_for_its_listener() -> None:
    wire = a_wire()
    wire.publish(desired("a", 1, Wanted("l1", secret=1)))
    wire.run()
    assert [type_url for type_url, _, _ in wire.pushed] == [CLUSTER, ENDPOINTS, LISTENER, SECRET]
    assert wire.confirmed == [("a", 1)]


def test_another_certificate_leaves_the_listener_alone() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1", secret=1)))
    wire.publish(desired("a", 2, Wanted("l1", secret=2)))
    wire.run()
    assert wire.pushed == [(SECRET, ("l1",), ())]
    assert wire.confirmed[-1] == ("a", 2)


def test_another_certificate_is_accepted_before_the_listener_changes_with_it() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1", secret=1)))
    wire.publish(desired("a", 2, Wanted("l1", listener=1, secret=2)))
    wire.run()
    assert [type_url for type_url, _, _ in wire.pushed] == [SECRET, LISTENER]


def test_a_refused_certificate_keeps_what_else_would_change_of_its_listener_and_is_named() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1", secret=1)), desired("b", 1, Wanted("l2", secret=1)))
    wire.publish(desired("a", 2, Wanted("l1", port=81, secret=WHOLE)), desired("b", 2, Wanted("l2", secret=2)))
    wire.run()
    assert [(each.load_balancer_id, each.concerns) for each in wire.rejected] == [("a", listeners("l1"))]
    assert wire.confirmed[-1] == ("b", 2)
    assert wire.listening() == {"a/tcp/80", "b/tcp/80"}
    wire.publish(desired("a", 3, Wanted("l1", secret=1)))
    wire.run()
    assert wire.confirmed[-1] == ("a", 3)


def test_after_a_restart_certificates_that_the_node_has_are_not_sent_again() -> None:
    state = desired("a", 1, Wanted("l1", filter=1, secret=1))
    wire = a_wire(state)
    wire.restart([state])
    wire.run()
    assert wire.confirmed == [("a", 1)]
    assert SECRET not in [type_url for type_url, _, _ in wire.pushed]


def test_a_cluster_stays_while_a_listener_that_leads_to_it_is_under_way() -> None:
    wire = a_wire()
    wire.publish(desired("a", 1, Wanted("l1", filter=1)))
    wire.advance()
    while LISTENER not in {push.type_url for push in wire.envoy.inbox}:
        wire.envoy.take()
        while wire.envoy.outbox:
            wire.hear()
    wire.publish(desired("a", 2))
    # Envoy asks for the filter of the listener before it answers the push, and removes nothing that is in use.
    wire.envoy.take()
    wire.run()
    assert not wire.listening()
    assert not wire.envoy.held[CLUSTER]
    assert wire.confirmed[-1] == ("a", 2)


def test_what_is_deleted_while_its_first_part_is_on_its_way_is_not_gone_before_that_was_answered() -> None:
    wire = a_wire()
    wire.publish(desired("a", 1, Wanted("l1")))
    wire.advance()
    assert [push.type_url for push in wire.envoy.inbox] == [CLUSTER]
    wire.publish(desired("a", 2))
    wire.advance()
    assert wire.confirmed == []
    wire.run()
    assert not wire.envoy.held[CLUSTER]
    assert wire.confirmed == [("a", 2)]


def test_a_name_that_nobody_wants_is_answered_as_removed() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1")))
    wire.node.receive(NodeRequest(FILTER, subscribe=("nobody",)))
    wire.advance()
    assert wire.pushed == [(FILTER, (), ("nobody",))]


def test_each_wildcard_kind_is_answered_once_even_with_nothing() -> None:
    node = NodeState(DesiredStates())
    node.receive(NodeRequest(CLUSTER))
    assert node.advance().pushes == []
    wire = Wire()
    wire.run()
    assert wire.pushed == [(CLUSTER, (), ()), (LISTENER, (), ())]


def test_an_answer_to_another_push_and_an_unknown_kind_are_ignored() -> None:
    wire = a_wire(desired("a", 1, Wanted("l1")))
    wire.node.receive(NodeRequest(CLUSTER, nonce="77", error="Invalid"))
    wire.node.receive(NodeRequest("type.googleapis.com/envoy.other", subscribe=("x",)))
    wire.advance()
    assert not wire.pushed
    assert not wire.rejected


IDS = st.sampled_from(["a", "b", "c"])
CONTENT = st.integers(0, 1)
PORTS = st.sampled_from([80, 81, 82])


@st.composite
def wanteds(draw: st.DrawFn, load_balancer_id: str) -> tuple[Wanted, ...]:
    numbers = draw(st.lists(st.integers(1, 3), unique=True, max_size=3))
    ports = draw(st.permutations([80, 81, 82]))
    bad = draw(st.sampled_from([None] * 8 + ["cluster", "members", "listener", "secret"]))
    chosen = [
        Wanted(
            f"{load_balancer_id}{number}",
            port,
            draw(CONTENT),
            draw(CONTENT),
            draw(CONTENT),
            number % 2 or None,
            draw(CONTENT) if number < 3 else None,
            draw(st.sampled_from(["", f"{load_balancer_id}-shared"])),
        )
        for number, port in zip(numbers, ports, strict=False)
    ]
    if bad and chosen:
        chosen[0] = spoiled(chosen[0], bad)
    return tuple(chosen)


class Life(RuleBasedStateMachine):
    """Publish, reject, cut the stream and restart at random; compare whenever something is said to be in force."""

    @initialize()
    def begin(self) -> None:
        self.wire = Wire()
        self.generation = 0
        self.newest: dict[str, DesiredResources] = {}

    @rule(data=st.data(), load_balancer_id=IDS)
    def publish(self, data: st.DataObject, load_balancer_id: str) -> None:
        self.generation += 1
        state = desired(load_balancer_id, self.generation, *data.draw(wanteds(load_balancer_id)))
        self.newest[load_balancer_id] = state
        self.wire.publish(state)

    @rule()
    def advance(self) -> None:
        self.check(self.wire.advance())

    @precondition(lambda self: self.wire.envoy.outbox)
    @rule()
    def hear(self) -> None:
        self.check(self.wire.hear())

    @precondition(lambda self: self.wire.envoy.inbox)
    @rule()
    def take(self) -> None:
        self.wire.envoy.take()

    @rule(load_balancer_id=IDS, port=PORTS)
    def take_a_port(self, load_balancer_id: str, port: int) -> None:
        name = listener_name(load_balancer_id, Transport.TCP, port)
        if name not in self.wire.envoy.held[LISTENER]:
            self.wire.envoy.taken.add(name)

    @rule()
    def free_all_ports(self) -> None:
        self.wire.envoy.taken.clear()

    @rule()
    def cut(self) -> None:
        self.wire.connect()

    @rule()
    def restart(self) -> None:
        self.wire.restart(list(self.newest.values()))

    @rule()
    def rest(self) -> None:
        """At rest the node has all that is desired, but for what it rejected; without rejections, exactly that."""
        self.wire.envoy.taken.clear()
        for load_balancer_id, state in self.newest.items():
            self.generation += 1
            self.newest[load_balancer_id] = replace(state, generation=self.generation)
        self.wire.publish(*self.newest.values())
        self.wire.run()
        confirmed = set(self.wire.confirmed)
        for load_balancer_id, state in self.newest.items():
            is_good = not any(WHOLE in resource.body for resource in state.resources)
            assert ((load_balancer_id, state.generation) in confirmed) == is_good
            if is_good:
                self.compare(state)

    def check(self, outcome: Consequences) -> None:
        for load_balancer_id, generation in outcome.confirmed.items():
            state = self.newest[load_balancer_id]
            assert state.generation == generation
            self.compare(state)

    def compare(self, state: DesiredResources) -> None:
        envoy = self.wire.envoy
        for resource in state.resources:
            held = envoy.held[resource.type_url].get(resource.name)
            # Who uses a pool may change while that stays as it is.
            assert held is not None
            assert replace(held, concerns=NOTHING) == replace(resource, concerns=NOTHING)
            assert resource.name not in envoy.warming
        wanted = {key_of(resource) for resource in state.resources}
        for name, listener in envoy.held[LISTENER].items():
            if name.startswith(f"{state.load_balancer_id}/"):
                assert key_of(listener) in wanted


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
