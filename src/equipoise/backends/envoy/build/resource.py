"""One Envoy resource, ready to send."""

from dataclasses import dataclass, field

from equipoise.core.references import NOTHING, Scope
from equipoise.proxy.model import ListenAddress


@dataclass(frozen=True, slots=True)
class Resource:
    """One Envoy resource, ready to send.

    `version` is a hash of `body`, so that equal content has an equal version in every process and at every start.
    `owner` is the id of the listener or pool that it belongs to, `leads_to` that of the pool to which a listener, or
    its filter, hands what it takes in. `concerns` says what a rejection of it is about. `listen_address` is what a
    listener occupies, None for the other kinds.
    """

    type_url: str
    name: str
    version: str
    body: bytes = field(repr=False)
    owner: str
    leads_to: str = ""
    listen_address: ListenAddress | None = None
    concerns: Scope = NOTHING
