"""When a member counts as healthy: the results of its checks against the thresholds. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """`healthy` is None while nothing is known; `against` counts the last results in a row that say otherwise."""

    healthy: bool | None
    against: int = 0


def judged(before: Standing, passed: bool, healthy_threshold: int, unhealthy_threshold: int) -> Standing:
    """Return what follows from one more result.

    The first result about a member decides alone, as in Envoy's checks. After that it takes as many in a row as the
    threshold says to turn it round; one result in between that confirms what is known starts the count anew.
    """
    if before.healthy is None or passed is before.healthy:
        return Standing(passed)
    against = before.against + 1
    needed = healthy_threshold if passed else unhealthy_threshold
    return Standing(passed) if against >= needed else Standing(before.healthy, against)
