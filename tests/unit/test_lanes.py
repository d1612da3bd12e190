"""Turns between lanes: the writer's fairness."""

from hypothesis import given
from hypothesis import strategies as st

from equipoise.store.lanes import Lanes


def test_a_flood_in_one_lane_holds_up_another_by_one_item_at_most() -> None:
    lanes: Lanes[str] = Lanes("own")
    for number in range(1000):
        lanes.add("flood", f"flood {number}")
    lanes.add("quiet", "quiet 0")
    lanes.add("own", "own 0")
    assert lanes.take(3) == ["own 0", "flood 0", "quiet 0"]


@given(st.lists(st.tuples(st.sampled_from(["own", "a", "b", "c"]), st.integers())), st.integers(1, 5))
def test_nothing_is_lost_doubled_or_reordered_within_a_lane(items: list[tuple[str, int]], most: int) -> None:
    lanes: Lanes[tuple[str, int]] = Lanes("own")
    for item in items:
        lanes.add(item[0], item)
    taken: list[tuple[str, int]] = []
    while lanes:
        taken += lanes.take(most)
    for lane in ("own", "a", "b", "c"):
        assert [item for item in taken if item[0] == lane] == [item for item in items if item[0] == lane]
