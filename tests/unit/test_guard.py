"""When connections are refused so that Envoy keeps descriptors, and what tells it so."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.node.bootstrap import bootstrap, max_connections, max_sessions
from equipoise.node.guard import (
    GO_ON,
    LEFT_TO_NOTICE,
    REFUSE,
    REFUSE_FROM,
    TAKEN_IN_A_SECOND,
    DescriptorGuard,
    is_refused,
    open_descriptors,
    pause,
)
from stand import eventually

ROOM = 400


@contextmanager
def watching(guard: DescriptorGuard) -> Iterator[None]:
    guard.prepare()
    guard.start()
    try:
        yield
    finally:
        guard.stop()


@given(st.integers(1_000, 1_048_576))
def test_what_is_limited_by_number_alone_never_makes_a_shortage(descriptors: int) -> None:
    limited = 2 * max_connections(descriptors) + max_sessions(descriptors)
    assert not is_refused(limited, descriptors, refused_before=False)
    assert not is_refused(limited, descriptors, refused_before=True)


@given(st.integers(1_000, 1_048_576))
def test_sessions_of_udp_that_begin_meanwhile_find_their_descriptors(descriptors: int) -> None:
    assert descriptors * (REFUSE_FROM + LEFT_TO_NOTICE) + max_sessions(descriptors) <= descriptors * 1.000001


@given(st.integers(1_000, 1_048_576), st.floats(0, 1), st.floats(0, 10))
def test_it_looks_again_before_what_is_left_can_be_used_up(descriptors: int, used: float, took: float) -> None:
    open_now = round(descriptors * used)
    seconds = pause(open_now, descriptors, took)
    room = max(0.0, descriptors * REFUSE_FROM - open_now)
    # Unless looking is so dear that it would take more than a tenth of the time.
    assert seconds <= max(0.002, room / TAKEN_IN_A_SECOND, took / 0.1)
    assert took / 0.1 <= seconds <= max(0.25, took / 0.1)


@given(st.integers(10_000, 1_048_576))
def test_envoy_notices_before_what_is_left_can_be_used_up(descriptors: int) -> None:
    interval = float(bootstrap("n", descriptors)["overload_manager"]["refresh_interval"].removesuffix("s"))
    assert interval * TAKEN_IN_A_SECOND <= descriptors * LEFT_TO_NOTICE + 10


def test_what_is_open_is_counted() -> None:
    before = open_descriptors(os.getpid())
    with ExitStack() as held:
        for _ in range(50):
            held.enter_context(Path(os.devnull).open())
        assert open_descriptors(os.getpid()) == before + 50


def test_envoy_is_told_to_refuse_while_few_are_left_and_then_to_go_on(tmp_path: Path) -> None:
    file = tmp_path / "overload" / "pressure"
    guard = DescriptorGuard(file, open_descriptors(os.getpid()) + ROOM, os.getpid)
    with watching(guard):
        assert file.read_text() == GO_ON
        for shortage in (1, 2):
            with ExitStack() as held:
                for _ in range(ROOM):
                    held.enter_context(Path(os.devnull).open())
                eventually(lambda: file.read_text() == REFUSE)
            eventually(lambda: file.read_text() == GO_ON)
            assert guard.shortages == shortage


def test_what_was_said_of_another_envoy_does_not_stay(tmp_path: Path) -> None:
    file = tmp_path / "overload" / "pressure"
    file.parent.mkdir()
    file.write_text(REFUSE)
    with watching(DescriptorGuard(file, 1_000_000, lambda: None)):
        eventually(lambda: file.read_text() == GO_ON)


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "overload" / "pressure"
    guard = DescriptorGuard(file, 1, os.getpid)
    in_the_way = file.with_suffix(".new")
    file.parent.mkdir()
    file.write_text(GO_ON)
    in_the_way.mkdir()
    with watching(guard):
        eventually(lambda: "descriptors_not_guarded" in capsys.readouterr().out)
        in_the_way.rmdir()
        eventually(lambda: file.read_text() == REFUSE)
