"""Waiting for a condition: no pause of a length that was guessed."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 20.0


def eventually(look: Callable[[], T], patience: float = PATIENCE) -> T:
    """The first true value of `look`; fails when there is none in time. A condition, not a pause, is waited for."""
    deadline = time.monotonic() + patience
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{look} was not true within {patience} s; last: {value!r}")
        time.sleep(0.005)
