"""How far the proxy of a node has come: which versions it was handed, and which of them it has in force or rejects.
Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from equipoise.proxy.link import PublishedVersion
from equipoise.proxy.rejections import RejectedResource

NOTHING: Final = -1
"""Below every generation: nothing of a load balancer is in force."""


class Progress:
    """Of all load balancers of one node."""

    def __init__(self) -> None:
        # The newest last; those before it may still be confirmed.
        self._published: dict[str, tuple[PublishedVersion, ...]] = {}
        self._in_force: dict[str, PublishedVersion] = {}
        self._rejected: dict[str, dict[str, RejectedResource]] = {}

    @property
    def in_force(self) -> Mapping[str, PublishedVersion]:
        """The newest version in force, by load balancer."""
        return self._in_force

    @property
    def rejected(self) -> Sequence[RejectedResource]:
        """What the proxy rejects, of versions that are not confirmed otherwise."""
        return [each for of in self._rejected.values() for each in of.values()]

    def generation(self, load_balancer_id: str) -> int:
        """The generation in force, or `NOTHING`."""
        version = self._in_force.get(load_balancer_id)
        return NOTHING if version is None else version.generation

    def publish(self, load_balancer_id: str, version: PublishedVersion) -> bool:
        """The proxy is handed that version. Returns whether it was handed the generation before: it then confirms it
        once only."""
        earlier = self._published.get(load_balancer_id, ())
        others = tuple(each for each in earlier if each.generation != version.generation)
        self._published[load_balancer_id] = (*others, version)
        return len(others) < len(earlier)

    def is_in_force_already(self, load_balancer_id: str, version: PublishedVersion) -> bool:
        """Whether the generation of a newer version is in force. An older one is of a database that has fallen back:
        what is in force may be of a lost change."""
        before = self._in_force.get(load_balancer_id)
        return before is not None and before.generation == version.generation and before < version

    def confirm(self, generations: Mapping[str, int]) -> dict[str, PublishedVersion]:
        """These generations are in force. Returns their versions, without those of what has gone since."""
        versions = {id: version for id, generation in generations.items() if (version := self._reached(id, generation))}
        self._in_force.update(versions)
        for id in versions.keys() & self._rejected.keys():
            self._rejected[id] = {
                name: each for name, each in self._rejected[id].items() if each.generation >= versions[id].generation
            }
        return versions

    def reject(self, rejections: Iterable[RejectedResource]) -> None:
        """The proxy rejects these. Of a load balancer that has gone since nobody has to hear again."""
        for each in rejections:
            if each.load_balancer_id in self._published:
                self._rejected.setdefault(each.load_balancer_id, {})[each.resource] = each

    def begin_anew(self) -> None:
        """The proxy is another one, or has begun another stream: it says everything anew."""
        self._in_force.clear()
        self._rejected.clear()

    def forget(self, load_balancer_ids: Iterable[str]) -> None:
        """These load balancers do not exist any more."""
        for id in load_balancer_ids:
            self._published.pop(id, None)
            self._in_force.pop(id, None)
            self._rejected.pop(id, None)

    def _reached(self, load_balancer_id: str, generation: int) -> PublishedVersion | None:
        """The version of that generation; those before it are not waited for any more."""
        remaining = tuple(each for each in self._published.get(load_balancer_id, ()) if each.generation >= generation)
        if not remaining or remaining[0].generation != generation:
            return None
        self._published[load_balancer_id] = remaining
        return remaining[0]
