"""What a setting may hold: each kind says what is allowed and makes a value of what was given."""

import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final, Protocol, TypeVar

from equipoise.core.networks import Networks
from equipoise.core.quotas import LARGEST, SMALLEST
from equipoise.core.references import is_id, is_reference

QUOTAS: Final = ("elb", "listener", "member")

Bounded = TypeVar("Bounded", int, float)


class ValueKind(Protocol):
    """What a setting may hold. `allowed` finishes the sentence "must be ..."."""

    @property
    def allowed(self) -> str: ...

    def parse(self, given: object) -> Any:
        """The value, from a text or from a value of TOML; ValueError when it is not allowed."""


def _within(value: Bounded, low: Bounded, high: Bounded) -> Bounded:
    # Written so that NaN, which is neither below nor above, is refused.
    if not low <= value <= high:
        raise ValueError
    return value


@dataclass(frozen=True, slots=True)
class Integer:
    low: int
    high: int

    @property
    def allowed(self) -> str:
        return f"a whole number, {self.low} to {self.high}"

    def parse(self, given: object) -> int:
        if isinstance(given, bool) or not isinstance(given, int | str):
            raise ValueError
        return _within(int(given), self.low, self.high)


QUOTA: Final = Integer(SMALLEST, LARGEST)


@dataclass(frozen=True, slots=True)
class Number:
    low: float
    high: float

    @property
    def allowed(self) -> str:
        return f"a number, {self.low:g} to {self.high:g}"

    def parse(self, given: object) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise ValueError
        return _within(float(given), self.low, self.high)


@dataclass(frozen=True, slots=True)
class Choice:
    names: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(self.names)

    def parse(self, given: object) -> str:
        if given not in self.names:
            raise ValueError
        return str(given)


@dataclass(frozen=True, slots=True)
class Switch:
    allowed: str = "true or false"

    def parse(self, given: object) -> bool:
        if given in ("true", "false"):
            return given == "true"
        if not isinstance(given, bool):
            raise ValueError
        return given


@dataclass(frozen=True, slots=True)
class Text:
    pattern: str
    allowed: str

    def parse(self, given: object) -> str:
        if not isinstance(given, str) or not re.fullmatch(self.pattern, given):
            raise ValueError
        return given


@dataclass(frozen=True, slots=True)
class Network:
    allowed: str = "an IPv4 network in CIDR form with a prefix of 8 to 30 bits, for example 127.77.0.0/16"

    def parse(self, given: object) -> IPv4Network:
        if not isinstance(given, str) or "/" not in given:
            raise ValueError
        network = IPv4Network(given)
        _within(network.prefixlen, 8, 30)
        return network


def _listed(given: object) -> list[str]:
    """The names of a list, or of a text with commas between them; an empty text is an empty list."""
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError
    return [name for name in names if name or len(names) > 1]


class NameTuple(tuple[str, ...]):
    """Names; as a text as they are written."""

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(self)


class ListenerTuple(NameTuple):
    """Ids of listeners, or `*` alone for all."""

    __slots__ = ()

    def names(self, listener_id: str) -> bool:
        """Whether this listener is among them."""
        return "*" in self or listener_id in self


@dataclass(frozen=True, slots=True)
class ListenerList:
    allowed: str = "empty, `*`, or ids of listeners (32 hexadecimal characters), separated by commas"

    def parse(self, given: object) -> ListenerTuple:
        found = ListenerTuple(_listed(given))
        if found != ("*",) and not all(map(is_id, found)):
            raise ValueError
        return found


@dataclass(frozen=True, slots=True)
class ReferenceList:
    allowed: str = "empty, or names of 1 to 64 letters, digits, - _ . and :, separated by commas"

    def parse(self, given: object) -> NameTuple:
        return NameTuple(map(_reference, _listed(given)))


class NetworkTuple(tuple[IPv4Network | IPv6Network, ...]):
    """Networks of either kind; as a text as they are written."""

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(map(str, self))


@dataclass(frozen=True, slots=True)
class NetworkList:
    allowed: str = "empty, or networks of IPv4 or IPv6 in CIDR form, separated by commas"

    def parse(self, given: object) -> NetworkTuple:
        return NetworkTuple(map(ip_network, _listed(given)))


@dataclass(frozen=True, slots=True)
class NetworkTable:
    """VPCs by id, each with its subnets: id -> pool. As a text it is the same in JSON."""

    allowed: str = (
        'VPCs by id, each with its subnets and their address pools, such as {"vpc-1": {"subnets": {"subnet-1": '
        '"127.78.1.0/24"}}}, where no pool overlaps another'
    )

    def parse(self, given: object) -> Networks:
        return Networks({_reference(id): self._subnets(vpc) for id, vpc in _table(given).items()})

    def _subnets(self, vpc: object) -> dict[str, IPv4Network]:
        if not isinstance(vpc, dict) or vpc.keys() - {"subnets"} or not isinstance(vpc.get("subnets", {}), dict):
            raise ValueError
        return {_reference(id): Network().parse(pool) for id, pool in vpc.get("subnets", {}).items()}


def _reference(id: str) -> str:
    if not is_reference(id):
        raise ValueError
    return id


def _table(given: object) -> dict[str, Any]:
    """A table of TOML, or the same in JSON; nothing is an empty one."""
    table = json.loads(given) if isinstance(given, str) and given else given or {}
    if not isinstance(table, dict):
        raise ValueError
    return table


@dataclass(frozen=True, slots=True)
class ProjectQuotas:
    """The quotas of one project; None is as for all."""

    project_id: str
    elb: int | None = None
    listener: int | None = None
    member: int | None = None

    def given(self) -> dict[str, int]:
        """Those that the project has of its own, by name."""
        return {name: value for name in QUOTAS if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True)
class QuotasByProject:
    """Project ids, each with quotas of its own. As a text it is the same in JSON."""

    allowed: str = (
        'project ids, each with some of elb, listener and member (whole numbers as above), such as {"ID": {"elb": 5}}'
    )

    def parse(self, given: object) -> tuple[ProjectQuotas, ...]:
        return tuple(self._of_one(id, own) for id, own in _table(given).items())

    def _of_one(self, project_id: str, own: object) -> ProjectQuotas:
        if not isinstance(own, dict) or not own or not own.keys() <= set(QUOTAS):
            raise ValueError
        return ProjectQuotas(project_id, **{name: QUOTA.parse(value) for name, value in own.items()})
