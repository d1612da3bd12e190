"""How long a node waits before it tries the next controller."""

import random
from typing import Final

_FIRST_SECONDS: Final = 0.1


class Pauses:
    """Each one is about twice as long as the one before. Many nodes that lose a controller at once come back apart.

    Args:
        longest: seconds.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._next = _FIRST_SECONDS

    def next(self) -> float:
        """Seconds to wait."""
        pause = self._next
        self._next = min(2 * pause, self._longest)
        return pause * random.uniform(0.5, 1)  # noqa: S311 - spreads load, keeps no secret

    def reset(self) -> None:
        """Something has worked: begin with short ones again."""
        self._next = _FIRST_SECONDS
