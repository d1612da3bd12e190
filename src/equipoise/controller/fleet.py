"""The nodes that speak to this controller, and what each of them has still to be told."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from equipoise.proxy.link import Assign, Gone, Published, SendToNode


class Attachment:
    """A node that speaks to this controller.

    Attributes:
        has_room: tells whether it takes what it is told as fast as that is said.
        session: the number in the database under which the controller holds it; None: it may not be told anything.
        behind: the load balancers of which it has not the newest state; None: what it has is not known.
    """

    def __init__(self, node_id: str, send: SendToNode, has_room: Callable[[], bool] = lambda: True) -> None:
        self.node_id = node_id
        self.send = send
        self.has_room = has_room
        self.session: int | None = None
        self.behind: set[str] | None = None

    def assign(self, states: Sequence[Published]) -> None:
        """Tell it these states, now or when it is back."""
        if self.session is not None:
            self.send(Assign(states))
        elif self.behind is not None:
            self.behind.update(state.load_balancer_id for state in states)

    def withdraw(self, load_balancer_ids: Sequence[str]) -> None:
        """Tell it that these load balancers have gone, or let it be asked anew what there is when it is back."""
        if self.session is not None:
            self.send(Gone(load_balancer_ids))
        else:
            self.behind = None


class Fleet:
    """All of them."""

    def __init__(self) -> None:
        self._nodes: dict[str, Attachment] = {}

    def connect(self, node_id: str, send: SendToNode, has_room: Callable[[], bool] = lambda: True) -> Attachment:
        """A node has made its way here. Messages to it are taken by `send`."""
        node = self._nodes[node_id] = Attachment(node_id, send, has_room)
        return node

    def disconnect(self, node: Attachment) -> None:
        """The way of a node has ended. Where it has made another one meanwhile, that one stays."""
        if self._nodes.get(node.node_id) is node:
            del self._nodes[node.node_id]

    @property
    def attached(self) -> Sequence[Attachment]:
        """Those that this controller holds."""
        return [node for node in self._nodes.values() if node.session is not None]

    @property
    def sessions(self) -> Mapping[str, int]:
        """Those that this controller holds, by node."""
        return {node.node_id: node.session for node in self._nodes.values() if node.session is not None}

    def find(self, node_id: str, session: int) -> Attachment | None:
        """The node, if it is in that session."""
        node = self._nodes.get(node_id)
        return node if node is not None and node.session == session else None

    def assign(self, states: Sequence[Published]) -> None:
        """Tell every node."""
        if states:
            for node in self._nodes.values():
                node.assign(states)

    def withdraw(self, load_balancer_ids: Iterable[str]) -> None:
        """Tell every node that these load balancers have gone."""
        if ids := list(load_balancer_ids):
            for node in self._nodes.values():
                node.withdraw(ids)
