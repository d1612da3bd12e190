"""What one node has, on one stream, and what it must be told next. Pure: no clock, no socket, no event loop.

The state is compared, never the change: for every resource the version that Envoy accepted is held against the
version that is desired, and only differences are sent. A load balancer whose comparison is not finished is
"open"; only open ones are looked at, so that a push costs what changed and not what exists. And an open one is looked
at when something happened that it waits for, so that thousands that are open at once, as after a start of Envoy,
which asks for filters one by one, do not each cost a look at all of the others.

Order. A listener is sent when its cluster and its members are in force, so that a port opens only when there is
something behind it; a certificate that takes the place of another one comes before the listener, too. A listener
that nobody wants any more is removed when the one that takes its place (of the same listener, under another name)
is in force; a new port that is rejected thus never takes the old one away. A cluster is removed when no listener
leads to it. A cluster that is sent makes Envoy wait for its members again, so these are sent once more after it;
for the same reason a new stream is sent all members: what happened to the last pushes of the stream before it is
not known.

A port of UDP can be shared: Envoy opens it so that its workers can, and the kernel then lets any process of the same
user join in. So before a node is sent a listener that is new to it, `may_occupy` is asked whether its address is free;
if not, the listener counts as rejected, in the words that Envoy has for a port of TCP.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum, auto

from equipoise.backends.envoy.build.names import load_balancer_of
from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.type_urls import CLUSTER, ENDPOINTS, IN_ORDER, LISTENER, SECRET, WILDCARD
from equipoise.backends.envoy.xds.desired import DesiredResources, DesiredStates, Key
from equipoise.backends.envoy.xds.exchange import Consequences, NodeRequest, Push
from equipoise.backends.envoy.xds.kind import Draft, Held, InFlight, KindState, Rejection, Sent
from equipoise.backends.envoy.xds.rejections import Reason, port_in_use, read_reason, verdict
from equipoise.proxy.model import ListenAddress
from equipoise.proxy.rejections import RejectedResource

_NOBODY = ""
"""Stands for the load balancer of clusters that Envoy brought along and nobody wants."""

Drafts = Mapping[str, Draft]


class _Standing(Enum):
    IN_FORCE = auto()
    OPEN = auto()
    REJECTED = auto()


class NodeState:
    """One stream of one node. Feed it with `receive` and `moved`, then do what `advance` says."""

    def __init__(self, desired: DesiredStates, may_occupy: Callable[[ListenAddress], bool] = lambda _: True) -> None:
        self._desired = desired
        self._may_occupy = may_occupy
        self._kinds = {type_url: KindState(type_url) for type_url in IN_ORDER}
        self._open: dict[str, None] = dict.fromkeys(desired)
        # The open ones to be compared at the next advance, and those that wait for the next answer about a kind.
        self._due: dict[str, None] = dict.fromkeys(desired)
        self._waiting: dict[str, dict[str, None]] = {type_url: {} for type_url in IN_ORDER}
        self._confirmed: dict[str, int] = {}
        # What the node has of the wildcard kinds, by load balancer: there the stale is found.
        self._holdings: dict[str, dict[Key, None]] = {}
        # How many listeners lead to a cluster; None counts those of which that is not known.
        self._leading_to: Counter[str | None] = Counter()
        self._rejected: list[RejectedResource] = []
        self._nonce = 0

    def moved(self, load_balancer_ids: Iterable[str]) -> None:
        """Note that the desired state of these load balancers has to be compared again."""
        ids = dict.fromkeys(load_balancer_ids)
        self._open.update(ids)
        self._due.update(ids)

    def receive(self, request: NodeRequest) -> bool:
        """Take in what the node says and return whether anything can follow from it before its next answer.

        Kinds of resource that are not served here are ignored. What is only asked for, while a push of the kind is
        under way, waits for the answer to that: a started Envoy asks for thousands of filters one by one.
        """
        kind = self._kinds.get(request.type_url)
        if kind is None:
            return False
        can_wait = kind.in_flight is not None and not (request.nonce or request.unsubscribe)
        if not kind.requested:
            kind.requested = True
            self._due.update(self._open)
        if kind.type_url not in WILDCARD:
            kind.unsubscribe(request.unsubscribe)
            # A listener that was held back for a certificate need not wait any more when Envoy stops waiting for it.
            self._reconsider(self._desired.owner((kind.type_url, name)) for name in request.unsubscribe)
            kind.subscribe(request.subscribe)
        kind.reported.update(request.initial_versions)
        if kind.in_flight is not None and request.nonce == kind.in_flight.nonce:
            self._answered(kind, kind.in_flight, request.error)
        return not can_wait

    def advance(self) -> Consequences:
        """Compare what is open and return what follows; nothing at all until the desired state is complete."""
        if not self._desired.ready:
            return Consequences()
        for kind in self._kinds.values():
            self._adopt(kind)
            self._look_up(kind)
        outcome = Consequences()
        drafts = self._drafts(outcome)
        outcome.rejected, self._rejected = self._rejected, []
        for kind in self._kinds.values():
            push = self._push(kind, drafts[kind.type_url])
            if push is not None:
                outcome.pushes.append(push)
        return outcome

    def listen_addresses(self, load_balancer_ids: Iterable[str]) -> Iterator[ListenAddress]:
        """Return where the node has accepted listeners of these load balancers."""
        held = self._kinds[LISTENER].held
        keys = (key for id in load_balancer_ids for key in self._holdings.get(id, ()))
        listen_addresses = (held[name].listen_address for type_url, name in keys if type_url == LISTENER)
        return (listen_address for listen_address in listen_addresses if listen_address is not None)

    # Answers

    def _answered(self, kind: KindState, push: InFlight, error: str | None) -> None:
        kind.in_flight = None
        self.moved(sent.load_balancer_id for sent in push.sent.values())
        self._reconsider(kind.held[name].load_balancer_id for name in push.removed if name in kind.held)
        self._reconsider(self._waiting[kind.type_url])
        self._waiting[kind.type_url].clear()
        if error is None or not push.sent:
            kind.drop_half()
            self._accepted(kind, push, push.sent)
            return
        read = verdict(error, push.sent)
        rejected = read.rejected
        if not rejected and len(push.sent) == 1:
            rejected = dict.fromkeys(push.sent, error)
        if not rejected:
            kind.bisect(push.sent)
            return
        kind.drop_half()
        self._note_rejections(kind, push, rejected)
        if read.rest_applies:
            self._accepted(kind, push, push.sent.keys() - rejected.keys())

    def _accepted(self, kind: KindState, push: InFlight, names: Iterable[str]) -> None:
        for name in names:
            if name in push.void:
                continue
            sent = push.sent[name]
            kind.rejected.pop(name, None)
            self._hold(kind, name, _held(sent.resource, sent.load_balancer_id))
        for name in push.removed:
            self._release(kind, name)

    def _note_rejections(self, kind: KindState, push: InFlight, reasons: Mapping[str, str]) -> None:
        for name in [name for name in kind.rejected if self._desired.owner((kind.type_url, name)) is None]:
            del kind.rejected[name]
        for name, reason in reasons.items():
            self._reject(kind, push.sent[name], read_reason(reason))

    def _reject(self, kind: KindState, sent: Sent, reason: Reason) -> None:
        resource = sent.resource
        kind.rejected[resource.name] = Rejection(resource.version, sent.generation)
        self._rejected.append(
            RejectedResource(
                sent.load_balancer_id, sent.generation, resource.concerns, resource.name, reason.kind, reason.words
            )
        )

    # What the node brought along, and what it waits for

    def _adopt(self, kind: KindState) -> None:
        if kind.type_url == ENDPOINTS:
            kind.reported.clear()
        for name, version in kind.reported.items():
            held = self._brought_along(kind, name, version)
            self._hold(kind, name, held)
            self.moved((held.load_balancer_id,))
        kind.reported.clear()

    def _brought_along(self, kind: KindState, name: str, version: str) -> Held:
        key = (kind.type_url, name)
        wanted = self._desired.resource(key)
        if wanted is not None and wanted.version == version:
            return _held(wanted, self._desired.owner(key) or _NOBODY)
        if kind.type_url == LISTENER:
            return Held(version, load_balancer_of(name), None)
        return Held(version, self._desired.owner(key) or _NOBODY, name)

    def _look_up(self, kind: KindState) -> None:
        for name in list(kind.asked):
            owner = self._desired.owner((kind.type_url, name))
            if owner is not None:
                del kind.asked[name]
                self.moved((owner,))

    # Comparison

    def _reconsider(self, load_balancer_ids: Iterable[str | None]) -> None:
        """Note that those of them that are open may get further now."""
        self._due.update((id, None) for id in load_balancer_ids if id is not None and id in self._open)

    def _drafts(self, outcome: Consequences) -> Drafts:
        # What nobody wants waits for any listener; and a part under suspicion can wait for anybody.
        self._reconsider([_NOBODY])
        if any(kind.halves for kind in self._kinds.values()):
            self._due.update(self._open)
        drafts = self._compare_all(self._due, outcome)
        self._due.clear()
        return drafts

    def _compare_all(self, load_balancer_ids: Iterable[str], outcome: Consequences) -> Drafts:
        while True:
            drafts = {type_url: Draft() for type_url in IN_ORDER}
            for load_balancer_id in load_balancer_ids:
                if load_balancer_id in self._open:
                    self._compare(load_balancer_id, drafts, outcome)
            idle = [kind for kind in self._kinds.values() if kind.halves and kind.is_free]
            idle = [kind for kind in idle if not drafts[kind.type_url].add]
            if not idle:
                return drafts
            # Nothing of this part is wanted any more; the next one must not wait for it.
            for kind in idle:
                kind.drop_half()

    def _compare(self, load_balancer_id: str, drafts: Drafts, outcome: Consequences) -> None:
        desired = self._desired.get(load_balancer_id)
        lagging: set[str] = set()
        failed: set[str] = set()
        is_open = desired is not None and self._draft_additions(desired, drafts, lagging, failed)
        is_open |= self._draft_removals(load_balancer_id, drafts, lagging)
        # What Envoy still listens on from before is known only when it has asked for listeners.
        is_open |= not self._kinds[LISTENER].requested
        if is_open:
            return
        del self._open[load_balancer_id]
        if desired is None:
            self._confirmed.pop(load_balancer_id, None)
            outcome.in_force.append(load_balancer_id)
        elif not failed or self._desired.is_acknowledged(desired):
            self._confirm(desired, outcome)
            outcome.in_force.append(load_balancer_id)

    def _confirm(self, desired: DesiredResources, outcome: Consequences) -> None:
        load_balancer_id, generation = desired.load_balancer_id, desired.generation
        if self._confirmed.get(load_balancer_id, generation - 1) < generation:
            self._confirmed[load_balancer_id] = generation
            outcome.confirmed[load_balancer_id] = generation

    def _draft_additions(self, desired: DesiredResources, drafts: Drafts, lagging: set[str], failed: set[str]) -> bool:
        """Return whether anything is still to be sent or answered.

        Fills `lagging` with the listeners whose own resource is not in force, and `failed` with those of which
        something was rejected.
        """
        behind: set[str] = set()
        awaited: set[str] = set()
        for resource in desired.resources:
            standing = self._standing(resource, desired.generation, drafts, failed)
            if standing is _Standing.IN_FORCE:
                continue
            is_listener = resource.type_url == LISTENER
            if is_listener:
                lagging.add(resource.owner)
            if standing is _Standing.REJECTED:
                failed.add(resource.owner)
                continue
            has_to_wait = is_listener and not awaited.isdisjoint((resource.owner, resource.leads_to))
            kind = self._kinds[resource.type_url]
            if not has_to_wait and kind.may_send(resource.name):
                sent = Sent(resource, desired.load_balancer_id, desired.generation)
                if self._is_kept_out(sent):
                    failed.add(resource.owner)
                    continue
                drafts[resource.type_url].add[resource.name] = sent
            elif not has_to_wait and (kind.in_flight is not None or kind.wants(resource.name)):
                self._waiting[resource.type_url][desired.load_balancer_id] = None
            behind.add(resource.owner)
            # Envoy asks for the first certificate when it has the listener: waiting for it would last for ever.
            if resource.type_url != SECRET or kind.wants(resource.name):
                awaited.add(resource.owner)
        return bool(behind)

    def _is_kept_out(self, sent: Sent) -> bool:
        """Whether somebody else has the address of a listener; it is then rejected on behalf of the node."""
        kind, listen_address = self._kinds[sent.resource.type_url], sent.resource.listen_address
        if listen_address is None or sent.resource.name in kind.held or self._may_occupy(listen_address):
            return False
        self._reject(kind, sent, port_in_use(f"{listen_address.address}:{listen_address.port}"))
        return True

    def _standing(self, resource: Resource, generation: int, drafts: Drafts, failed: set[str]) -> _Standing:
        kind, name = self._kinds[resource.type_url], resource.name
        if kind.is_moving(name):
            return _Standing.OPEN
        if resource.type_url == ENDPOINTS and name in drafts[CLUSTER].add:
            return _Standing.OPEN
        held = kind.held.get(name)
        if held is not None and held.version == resource.version:
            if held.owner is None:
                self._hold(kind, name, _held(resource, held.load_balancer_id))
            return _Standing.IN_FORCE
        rejection = kind.rejected.get(name)
        if rejection is not None and rejection.version == resource.version and rejection.generation >= generation:
            return _Standing.REJECTED
        # Nothing is built on what was rejected; Envoy will not even ask for the members of a cluster it does not have.
        if not failed.isdisjoint((resource.owner, resource.leads_to)) and (
            resource.type_url == LISTENER or not kind.wants(name)
        ):
            return _Standing.REJECTED
        return _Standing.OPEN

    def _draft_removals(self, load_balancer_id: str, drafts: Drafts, lagging: set[str]) -> bool:
        """Return whether anything stale is still to be removed; what must stay for lack of a successor is not."""
        stale = [key for key in self._holdings.get(load_balancer_id, ()) if self._desired.owner(key) is None]
        is_open = self._is_on_its_way(load_balancer_id)
        stays = False
        for name in (name for type_url, name in stale if type_url == LISTENER):
            owner = self._kinds[LISTENER].held[name].owner
            if owner in lagging or (owner is None and lagging):
                stays = True
                continue
            is_open = True
            self._draft_removal(load_balancer_id, LISTENER, name, drafts)
        for name in (name for type_url, name in stale if type_url == CLUSTER):
            if not self._is_in_use(load_balancer_id, name):
                is_open = True
                self._draft_removal(load_balancer_id, CLUSTER, name, drafts)
            elif not stays:
                is_open = True
        return is_open

    def _is_on_its_way(self, load_balancer_id: str) -> bool:
        """Whether Envoy is just being sent what nobody wants any more: it may take it yet, and serve it."""
        return any(
            self._desired.owner((type_url, name)) is None
            for type_url in WILDCARD
            if (push := self._kinds[type_url].in_flight) is not None
            for name in push.of_load_balancer.get(load_balancer_id, ())
        )

    def _is_in_use(self, load_balancer_id: str, cluster: str) -> bool:
        if self._leading_to[cluster] or not self._kinds[LISTENER].requested:
            return True
        under_way = self._kinds[LISTENER].in_flight
        if under_way is not None and cluster in under_way.leads_to:
            # Envoy may have taken the listener already, and its answer be on its way.
            return True
        if not self._leading_to[None]:
            return False
        if load_balancer_id == _NOBODY:
            return True
        held = self._kinds[LISTENER].held
        mine = (name for type_url, name in self._holdings[load_balancer_id] if type_url == LISTENER)
        return any(held[name].owner is None for name in mine)

    def _draft_removal(self, load_balancer_id: str, type_url: str, name: str, drafts: Drafts) -> None:
        kind = self._kinds[type_url]
        # A part under suspicion travels alone: a removal in it would be rejected with it.
        if kind.is_free and not kind.halves:
            drafts[type_url].remove[name] = None
        else:
            self._waiting[type_url][load_balancer_id] = None

    # Sending

    def _push(self, kind: KindState, draft: Draft) -> Push | None:
        if not kind.is_free:
            return None
        # Envoy does not go on starting until each wildcard kind was answered once, be it with nothing. With nothing
        # only if nothing is to come: listeners that come after the start are taken in one by one, at twice the cost.
        is_awaited = kind.type_url in WILDCARD and not kind.answered and not (kind.type_url == LISTENER and self._open)
        removed = (*draft.remove, *kind.asked)
        if not draft.add and not removed and not is_awaited:
            return None
        kind.answered = True
        kind.asked.clear()
        self._nonce += 1
        nonce = str(self._nonce)
        kind.in_flight = InFlight(nonce, draft.add, frozenset(removed))
        if kind.type_url == CLUSTER:
            for name in draft.add:
                self._kinds[ENDPOINTS].forget(name)
        vacated = (kind.held[name].listen_address for name in draft.remove)
        return Push(
            kind.type_url,
            nonce,
            resources=tuple(sent.resource for sent in draft.add.values()),
            removed=removed,
            vacates=tuple(listen_address for listen_address in vacated if listen_address is not None),
        )

    # The book of what the node has

    def _hold(self, kind: KindState, name: str, held: Held) -> None:
        if not kind.wants(name):
            return
        self._release(kind, name)
        kind.held[name] = held
        if kind.type_url in WILDCARD:
            self._holdings.setdefault(held.load_balancer_id, {})[kind.type_url, name] = None
        if kind.type_url == LISTENER:
            self._leading_to[held.leads_to] += 1

    def _release(self, kind: KindState, name: str) -> None:
        held = kind.held.pop(name, None)
        if held is None:
            return
        if kind.type_url in WILDCARD:
            mine = self._holdings[held.load_balancer_id]
            del mine[kind.type_url, name]
            if not mine:
                del self._holdings[held.load_balancer_id]
        if kind.type_url == LISTENER:
            self._leading_to[held.leads_to] -= 1
            if not self._leading_to[held.leads_to]:
                del self._leading_to[held.leads_to]


def _held(resource: Resource, load_balancer_id: str) -> Held:
    return Held(resource.version, load_balancer_id, resource.owner, resource.leads_to, resource.listen_address)
