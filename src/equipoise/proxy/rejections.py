"""What a data plane says of what it does not take."""

from dataclasses import dataclass
from enum import Enum, auto

from equipoise.core.references import Scope


class RejectionKind(Enum):
    """Why a data plane does not take something; decided where its words are read."""

    ADDRESS_IN_USE = auto()
    """Somebody else has the address and port."""

    ADDRESS_UNKNOWN = auto()
    """The address is not one of this node."""

    PERMISSION = auto()
    """The data plane may not listen there."""

    CANNOT_LISTEN = auto()
    """It cannot listen there for another reason."""

    STRUCTURE = auto()
    """It does not take what was sent."""

    @property
    def is_about_listening(self) -> bool:
        """Whether another port or address would do."""
        return self is not RejectionKind.STRUCTURE


@dataclass(frozen=True, slots=True)
class RejectedResource:
    """A node would not take a resource: whose it is, since which generation it was sent, and why.

    `concerns` is what the rejection is about, `resource` the name by which the data plane knows it. `reason` is for
    people to read, free of the data plane's wrapping where that is understood.
    """

    load_balancer_id: str
    generation: int
    concerns: Scope
    resource: str
    kind: RejectionKind
    reason: str
