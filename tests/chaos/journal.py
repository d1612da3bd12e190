"""What the clients asked and what they were answered: all that the checker knows besides the API and the traffic.

A client names what it makes, so that a thing can be recognised even if the answer to its creation never came.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any


class What(StrEnum):
    """The operations of the workload."""

    CREATE_LOAD_BALANCER = "create load balancer"
    UPDATE_LOAD_BALANCER = "update load balancer"
    DELETE_LOAD_BALANCER = "delete load balancer"
    DELETE_KEEPING_ADDRESS = "delete, keep address"
    CREATE_LISTENER = "create listener"
    UPDATE_LISTENER = "update listener"
    DELETE_LISTENER = "delete listener"
    ADD_MEMBERS = "add members"
    REMOVE_MEMBERS = "remove members"
    CREATE_HEALTH_CHECK = "create health check"
    UPDATE_HEALTH_CHECK = "update health check"
    DELETE_HEALTH_CHECK = "delete health check"
    CREATE_ELASTIC_IP = "create elastic IP"
    DELETE_ELASTIC_IP = "delete elastic IP"
    CREATE_CERTIFICATE = "create certificate"
    UPDATE_CERTIFICATE = "update certificate"
    DELETE_CERTIFICATE = "delete certificate"
    CANCEL_JOB = "cancel job"


class Outcome(Enum):
    """What the client knows. UNKNOWN: no answer came, or one that leaves it open; it happened wholly or not at all."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Asked:
    """One request that changes something.

    Attributes:
        load_balancer: the name of the load balancer that it is about; empty for elastic IPs and certificates.
        listener: the name of the listener, where it is about one or something below one.
        certificate: the name of the certificate that it is about.
        values: the fields that were sent, and `addresses` of members.
        id: the id that the answer gave to what was made.
    """

    project: str
    what: What
    load_balancer: str = ""
    listener: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome = Outcome.UNKNOWN
    status: int | None = None
    job_id: str = ""
    id: str = ""
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """Somebody was told that a listener is in force, and in the network of a service it did not listen.

    Attributes:
        time: seconds since 1970.
        said: the service that told so.
    """

    time: float
    said: str
    service: str
    place: str


class Journal:
    """Everything asked, by all clients; within one load balancer in the order in which it was asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[Asked] = []
        self.violations: list[str] = []
        self.looked = 0
        self.missing: list[Missing] = []
        self.answers: Counter[str] = Counter()
        self.cancelled: set[str] = set()

    def __iter__(self) -> Iterator[Asked]:
        return iter(self._asked)

    def note(self, asked: Asked) -> None:
        with self._lock:
            self._asked.append(asked)
            self.answers["none" if asked.status is None else str(asked.status)] += 1

    def seen(self, missing: Sequence[Missing]) -> None:
        """One look at a listener everywhere, right after it was said to be in force."""
        with self._lock:
            self.looked += 1
            self.missing += missing

    def violation(self, text: str) -> None:
        with self._lock:
            self.violations.append(text)

    def operations(self) -> Counter[str]:
        """How often each operation was asked for."""
        return Counter(asked.what.value for asked in self._asked)
