"""A node waits longer each time, up to a bound, and not as long as the others."""

from equipoise.node.pauses import Pauses


def test_pauses_grow_up_to_a_bound_and_begin_anew() -> None:
    pauses = Pauses(longest=2)
    waited = [pauses.next() for _ in range(8)]
    bounds = [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(waited, bounds, strict=True))
    pauses.reset()
    assert pauses.next() <= 0.1


def test_nodes_that_lose_a_controller_together_come_back_apart() -> None:
    assert len({Pauses(longest=2).next() for _ in range(20)}) > 1
