"""For how long a node may count on its session, by its own clock.

A lease runs from the moment at which it was asked for. The database lets it run from the moment at which it heard of
that, which is later: so a node gives way before anybody else can take its place, however the clocks of machines differ.
"""

import time
from collections.abc import Callable
from typing import Final

RENEW_SECONDS: Final = 2.0
"""A third of a lease: two renewals may be lost."""


class Lease:
    """Asked for with a number; the answer to it gives the time.

    Args:
        clock: tells seconds that only ever rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._number = 0
        self._asked_at: dict[int, float] = {}
        self._seconds: float | None = None
        self._ends_at: float | None = None

    def ask(self) -> int:
        """Return the number under which the time is asked for that runs from now on."""
        self._number += 1
        self._asked_at[self._number] = self._clock()
        return self._number

    def begin(self, number: int, seconds: float | None) -> None:
        """A session has begun that was asked for under this number. `seconds` None: it holds without a lease."""
        self._seconds = seconds
        self._ends_at = None
        self.renewed(number)

    def renewed(self, number: int) -> None:
        """The time that was asked for under this number is given. A lease that is over stays so: what was not told
        meanwhile is told in the next session only."""
        asked_at = self._asked_at.get(number)
        self._asked_at = {later: at for later, at in self._asked_at.items() if later > number}
        if asked_at is not None and self._seconds is not None and not self.is_over:
            self._ends_at = asked_at + self._seconds

    @property
    def has_end(self) -> bool:
        """Whether it has to be renewed."""
        return self._seconds is not None

    @property
    def is_over(self) -> bool:
        """Whether the session may be somebody else's by now."""
        return self._ends_at is not None and self._clock() >= self._ends_at
