"""What the stream says in generations is told on in versions: each generation with its newest revision."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from equipoise.backends.envoy.backend import EnvoyBackend
from equipoise.backends.envoy.xds.observer import StreamObserver
from equipoise.backends.envoy.xds.server import AdsServer
from equipoise.proxy.backend import Published, PublishedVersion
from equipoise.proxy.rejections import RejectedResource

NODE = "node-1"
ENVOY = "envoy"
LB = "load-balancer"


class Listener:
    """Remembers which versions of the load balancer are told to be in force."""

    def __init__(self) -> None:
        self.told: list[PublishedVersion] = []

    def node_connected(self, _node_id: str) -> None: ...

    def node_disconnected(self, _node_id: str) -> None: ...

    def confirmed(self, node_id: str, versions: Mapping[str, PublishedVersion]) -> None:
        assert node_id == NODE
        assert versions.keys() == {LB}
        self.told.append(versions[LB])

    def rejected(self, _node_id: str, _rejections: Sequence[RejectedResource]) -> None: ...


class Stand:
    """A backend whose stream nobody is connected to, and what is said on that stream."""

    def __init__(self) -> None:
        self.backend = EnvoyBackend(AdsServer(Path("nowhere")), NODE)
        self.listener = Listener()
        self.stream: StreamObserver = self.backend.told_to(self.listener)
        self.stream.node_connected(ENVOY)

    def publish(self, generation: int, revision: int) -> None:
        self.backend.publish([Published(LB, generation, revision, None)])

    def confirm(self, generation: int) -> None:
        self.stream.confirmed(ENVOY, {LB: generation})

    @property
    def told(self) -> list[PublishedVersion]:
        return self.listener.told


@pytest.fixture
def stand() -> Stand:
    return Stand()


def test_a_generation_is_told_with_its_newest_revision(stand: Stand) -> None:
    stand.publish(1, 10)
    stand.publish(1, 12)
    assert stand.told == []
    stand.confirm(1)
    assert stand.told == [PublishedVersion(1, 12)]


def test_an_older_generation_than_the_newest_is_not_told(stand: Stand) -> None:
    stand.publish(1, 10)
    stand.publish(2, 11)
    stand.confirm(1)
    assert stand.told == []
    stand.confirm(2)
    assert stand.told == [PublishedVersion(2, 11)]


def test_a_newer_revision_of_what_is_in_force_is_told_at_once(stand: Stand) -> None:
    stand.publish(1, 10)
    stand.confirm(1)
    stand.publish(1, 12)
    assert stand.told == [PublishedVersion(1, 10), PublishedVersion(1, 12)]
    # The next step of a slow start, for example.
    stand.publish(1, 12)
    # Of a database that has fallen back.
    stand.publish(1, 11)
    assert stand.told == [PublishedVersion(1, 10), PublishedVersion(1, 12)]


def test_an_older_generation_that_is_published_late_changes_nothing(stand: Stand) -> None:
    stand.publish(2, 11)
    stand.publish(1, 10)
    stand.confirm(2)
    assert stand.told == [PublishedVersion(2, 11)]


@pytest.mark.parametrize("ends_first", [False, True])
def test_what_was_in_force_on_an_earlier_stream_is_not_told_of_the_next(stand: Stand, *, ends_first: bool) -> None:
    stand.publish(1, 10)
    stand.confirm(1)
    if ends_first:
        stand.stream.node_disconnected(ENVOY)
    else:
        stand.stream.node_connected(ENVOY)
    stand.publish(1, 12)
    assert stand.told == [PublishedVersion(1, 10)]
    stand.confirm(1)
    assert stand.told == [PublishedVersion(1, 10), PublishedVersion(1, 12)]


def test_what_is_forgotten_is_told_again_only_when_it_is_published_again(stand: Stand) -> None:
    stand.publish(3, 10)
    stand.confirm(3)
    stand.backend.forget(LB)
    stand.confirm(3)
    assert stand.told == [PublishedVersion(3, 10)]
    stand.publish(1, 12)
    stand.confirm(1)
    assert stand.told == [PublishedVersion(3, 10), PublishedVersion(1, 12)]


def test_what_was_in_force_before_it_was_forgotten_is_not_in_force_after_it(stand: Stand) -> None:
    stand.publish(1, 10)
    stand.confirm(1)
    stand.backend.forget(LB)
    stand.publish(1, 12)
    stand.publish(1, 13)
    assert stand.told == [PublishedVersion(1, 10)]
