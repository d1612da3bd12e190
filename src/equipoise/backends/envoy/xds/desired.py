"""What is to be in force: the newest published state of every load balancer. What nodes have is not known here."""

from collections.abc import Iterator
from dataclasses import dataclass

from equipoise.backends.envoy.build.resource import Resource
from equipoise.backends.envoy.build.type_urls import IN_ORDER

Key = tuple[str, str]
"""The type URL and the name of a resource."""

_POSITION = {type_url: position for position, type_url in enumerate(IN_ORDER)}


def key_of(resource: Resource) -> Key:
    return resource.type_url, resource.name


@dataclass(frozen=True, slots=True)
class DesiredResources:
    """One generation of a load balancer; no resources means that nothing of it is to be served."""

    load_balancer_id: str
    generation: int
    resources: tuple[Resource, ...]


class DesiredStates:
    """The newest desired state by load balancer, found by the name of a resource too.

    `ready` tells whether it is complete. Until then nothing can be said to be superfluous.
    """

    def __init__(self) -> None:
        self.ready = False
        self._by_id: dict[str, DesiredResources] = {}
        self._owner: dict[Key, str] = {}
        self._acknowledged: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def put(self, desired: DesiredResources) -> bool:
        """Take it over and return True, unless a newer generation is known already."""
        load_balancer_id = desired.load_balancer_id
        before = self._by_id.get(load_balancer_id)
        if before is not None and before.generation > desired.generation:
            return False
        self._disown(before)
        ordered = sorted(desired.resources, key=lambda resource: _POSITION[resource.type_url])
        self._by_id[load_balancer_id] = DesiredResources(load_balancer_id, desired.generation, tuple(ordered))
        self._owner.update((key_of(resource), load_balancer_id) for resource in ordered)
        return True

    def drop(self, load_balancer_id: str) -> None:
        self._disown(self._by_id.pop(load_balancer_id, None))
        self._acknowledged.pop(load_balancer_id, None)

    def get(self, load_balancer_id: str) -> DesiredResources | None:
        return self._by_id.get(load_balancer_id)

    def owner(self, key: Key) -> str | None:
        """Return the load balancer that wants a resource of this name, or None if nobody does."""
        return self._owner.get(key)

    def resource(self, key: Key) -> Resource | None:
        owner = self._owner.get(key)
        if owner is None:
            return None
        return next(resource for resource in self._by_id[owner].resources if key_of(resource) == key)

    def acknowledge_rejection(self, load_balancer_id: str, generation: int) -> None:
        """Note that whatever was rejected of this or an earlier generation is known and need not hold it up."""
        if load_balancer_id in self._by_id:
            self._acknowledged[load_balancer_id] = max(generation, self._acknowledged.get(load_balancer_id, generation))

    def is_acknowledged(self, desired: DesiredResources) -> bool:
        return self._acknowledged.get(desired.load_balancer_id, desired.generation - 1) >= desired.generation

    def _disown(self, desired: DesiredResources | None) -> None:
        for resource in desired.resources if desired is not None else ():
            self._owner.pop(key_of(resource), None)
