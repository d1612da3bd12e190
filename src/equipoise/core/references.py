"""How resources are named: by kind and id. And the form of ids, of our own and of things that other services have."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

_ID: Final = re.compile(r"[0-9a-f]{32}")
_FOREIGN_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class ResourceKind(StrEnum):
    """What there is. The value is the name for machines, `words` are those for people."""

    LOAD_BALANCER = "load_balancer"
    LISTENER = "listener"
    POOL = "pool"
    MEMBER = "member"
    HEALTH_MONITOR = "health_monitor"
    CERTIFICATE = "certificate"
    ELASTIC_IP = "elastic_ip"
    VPC = "vpc"
    SUBNET = "subnet"
    PROJECT = "project"
    IDENTITY = "identity"
    """A user, role or service that the identity knows."""
    JOB = "job"
    WEBHOOK = "webhook"

    @property
    def words(self) -> str:
        return {"elastic_ip": "elastic IP", "vpc": "VPC"}.get(self.value, self.value.replace("_", " "))


@dataclass(frozen=True, slots=True, order=True)
class ResourceRef:
    """One resource. As text: `kind:id`, such as `pool:0123...`."""

    kind: ResourceKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`. Raises ValueError."""
        kind, _, id = text.partition(":")
        return cls(ResourceKind(kind), id)


Scope = frozenset[ResourceRef]
"""Resources that something is about: a job, or a rejection by the data plane."""

NOTHING: Final[Scope] = frozenset()
"""Of a job whose change the data plane cannot reject. One that touches all of a load balancer names that."""


def listeners(*ids: str) -> Scope:
    return frozenset(ResourceRef(ResourceKind.LISTENER, id) for id in ids)


def pools(*ids: str) -> Scope:
    return frozenset(ResourceRef(ResourceKind.POOL, id) for id in ids)


def ids_of(kind: ResourceKind, refs: Iterable[ResourceRef]) -> list[str]:
    """The ids of one kind, sorted."""
    return sorted(ref.id for ref in refs if ref.kind is kind)


def is_id(value: object) -> bool:
    """Whether a value is 32 lower-case hexadecimal characters, as every id that the service makes."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def is_reference(value: object) -> bool:
    """Whether a value can name a thing of another service (VPC, subnet, server): 1-64 letters, digits, `-_.:`."""
    return isinstance(value, str) and _FOREIGN_ID.fullmatch(value) is not None
