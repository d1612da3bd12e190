"""An Envoy without sockets: it follows the incremental protocol as the real one was seen to, and complains.

It complains (fails an assertion) about what would harm traffic: a listener without a warm cluster behind it, a
cluster taken away from under a listener, a second push of a kind before the first was answered.
"""

from collections import deque
from dataclasses import dataclass, field

from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.type_urls import CLUSTER, ENDPOINTS, FILTER, LISTENER, SECRET
from equipoise.backends.envoy.xds.exchange import NodeRequest, Push

WHOLE = b"rejects the whole push"
TCP = b"tcp"
TLS = b"tls"


@dataclass
class SimulatedEnvoy:
    """`taken` are names of listeners whose port somebody else holds.

    Pushes wait in `inbox` until `take`; what it says waits in `outbox`.
    """

    taken: set[str] = field(default_factory=set)
    held: dict[str, dict[str, Resource]] = field(
        default_factory=lambda: {CLUSTER: {}, ENDPOINTS: {}, SECRET: {}, LISTENER: {}, FILTER: {}}
    )
    warming: set[str] = field(default_factory=set)
    subscribed: dict[str, set[str]] = field(default_factory=lambda: {ENDPOINTS: set(), SECRET: set(), FILTER: set()})
    inbox: deque[Push] = field(default_factory=deque)
    outbox: deque[NodeRequest] = field(default_factory=deque)

    def connect(self) -> None:
        """Open a stream: what was under way is lost, what is held is reported."""
        self.inbox.clear()
        self.outbox.clear()
        for type_url, held in self.held.items():
            names = tuple(self.subscribed.get(type_url, ()))
            versions = {name: resource.version for name, resource in held.items()}
            if type_url in (CLUSTER, LISTENER) or names:
                self.outbox.append(NodeRequest(type_url, subscribe=names, initial_versions=versions))

    def send(self, push: Push) -> None:
        assert push.type_url not in {waiting.type_url for waiting in self.inbox}, "one push of a kind at a time"
        self.inbox.append(push)

    def take(self) -> None:
        """Take the oldest push and answer it."""
        push = self.inbox.popleft()
        error = self._whole_error(push) or self._apply(push)
        self._subscribe(push)
        self.outbox.append(NodeRequest(push.type_url, nonce=push.nonce, error=error))

    def _whole_error(self, push: Push) -> str | None:
        return "Invalid something" if any(WHOLE in resource.body for resource in push.resources) else None

    def _apply(self, push: Push) -> str | None:
        errors = []
        for name in push.removed:
            self._remove(push.type_url, name)
        for resource in push.resources:
            if push.type_url == LISTENER and resource.name in self.taken:
                errors.append(f"{resource.name}: cannot bind '{resource.name}': Address already in use\n")
            else:
                self._add(push.type_url, resource)
        return f"Error adding/updating listener(s) {''.join(errors)}" if errors else None

    def _add(self, type_url: str, resource: Resource) -> None:
        self.held[type_url][resource.name] = resource
        if type_url == CLUSTER:
            self.warming.add(resource.name)
        elif type_url == ENDPOINTS:
            self.warming.discard(resource.name)
        elif type_url == LISTENER:
            cluster = resource.leads_to
            assert cluster in self.held[CLUSTER], "a listener leads nowhere"
            assert cluster in self.held[ENDPOINTS], "a listener leads to a cluster without members"

    def _remove(self, type_url: str, name: str) -> None:
        if type_url == CLUSTER:
            assert name not in {each.leads_to for each in self.held[LISTENER].values()}, "still in use"
            self.warming.discard(name)
        if type_url in (CLUSTER, LISTENER):
            self.held[type_url].pop(name, None)

    def _subscribe(self, push: Push) -> None:
        """Ask for what the wildcard kinds refer to. The wish and the answer to the push are separate messages."""
        if push.type_url == CLUSTER:
            self._ask(ENDPOINTS, set(self.held[CLUSTER]))
        if push.type_url == LISTENER:
            tls = {each.owner for each in self.held[LISTENER].values() if TLS in each.body}
            self._ask(SECRET, tls)
            tcp = {each.owner for each in self.held[LISTENER].values() if TCP in each.body}
            self._ask(FILTER, tcp)

    def _ask(self, type_url: str, names: set[str]) -> None:
        before, self.subscribed[type_url] = self.subscribed[type_url], names
        for name in before - names:
            self.held[type_url].pop(name, None)
        if before != names:
            added, gone = tuple(sorted(names - before)), tuple(sorted(before - names))
            self.outbox.append(NodeRequest(type_url, subscribe=added, unsubscribe=gone))
