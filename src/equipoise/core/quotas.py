"""How much a project may have; the settings say it."""

from dataclasses import dataclass
from typing import Final

SMALLEST: Final = 1
LARGEST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Quotas:
    """`load_balancers` of the project, `listeners` of each load balancer, `members` of each listener."""

    load_balancers: int
    listeners: int
    members: int
