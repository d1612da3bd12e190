"""The rows that a job wrote, as the job itself remembers them.

One list serves both ends of a job: SUCCESS makes the changes final, FAIL takes them back. `equipoise.store.changes`
carries out either.
"""

from dataclasses import dataclass

from equipoise.core.commands import Column


@dataclass(frozen=True, slots=True)
class Created:
    """A new row. SUCCESS: its status becomes ACTIVE. FAIL: it is deleted."""

    table: str
    id: str


@dataclass(frozen=True, slots=True)
class Updated:
    """Columns got new values. SUCCESS: nothing to do. FAIL: those that still hold `after` return to `before`.

    The listeners that use a certificate may belong to several load balancers: a change of it is carried by a job for
    each of these listeners, and when one of them fails they all do.
    """

    table: str
    id: str
    before: dict[str, Column]
    after: dict[str, Column]


@dataclass(frozen=True, slots=True)
class Removed:
    """A row was marked as `deleting`. SUCCESS: it is deleted with all below it. FAIL: the mark is as it was before."""

    table: str
    id: str
    was_deleting: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row is wanted that unfinished jobs have made, or marked. SUCCESS: it stays. FAIL: the mark is as it was before.

    Should the job that made it fail, or one that removes it succeed, this becomes `Created`: now it is this job's.
    """

    table: str
    id: str
    was_deleting: bool


@dataclass(frozen=True, slots=True)
class AddressKept:
    """The address of a load balancer that is being deleted stays with the project. FAIL: nothing to do."""

    load_balancer_id: str


Change = Created | Updated | Removed | Wanted | AddressKept
