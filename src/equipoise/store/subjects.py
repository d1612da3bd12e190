"""How the column of a job holds what the job tells of what it is about, and its scope."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from equipoise.core.jobs import (
    DeletionSubject,
    HealthMonitorSubject,
    ListenerSubject,
    LoadBalancerSubject,
    MembersSubject,
    MemberSubject,
    Subject,
)
from equipoise.core.references import ResourceRef, Scope

_KINDS: Final[Mapping[str, Any]] = {
    kind.__name__: kind for kind in (LoadBalancerSubject, DeletionSubject, HealthMonitorSubject, ListenerSubject)
}


def to_json(subject: Subject) -> dict[str, Any]:
    """The subject as the column holds it."""
    match subject:
        case None:
            return {}
        case MembersSubject(pool_id, members):
            # There may be a thousand: what is as usual is left out.
            told = [{name: value for name, value in asdict(one).items() if value} for one in members]
            return {"kind": MembersSubject.__name__, "pool_id": pool_id, "members": told}
    return {"kind": type(subject).__name__, **asdict(subject)}


def from_json(value: Mapping[str, Any]) -> Subject:
    """The inverse of `to_json`."""
    match value:
        case {"kind": MembersSubject.__name__, "pool_id": pool_id, "members": members}:
            return MembersSubject(pool_id, tuple(MemberSubject(**one) for one in members))
        case {"kind": kind, **rest}:
            subject: Subject = _KINDS[kind](**rest)
            return subject
    return None


def scope_to_json(scope: Iterable[ResourceRef]) -> list[str]:
    return sorted(map(str, scope))


def scope_from_json(value: Sequence[str]) -> Scope:
    """The inverse of `scope_to_json`."""
    return frozenset(map(ResourceRef.parse, value))
