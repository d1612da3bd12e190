"""The book of what became of every request of one kind of traffic. Nothing is sampled: what begins must end here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic


class Failed(Exception):
    """A request that was not answered as it should have been."""


@dataclass(frozen=True, slots=True)
class Failure:
    """When the request began (`time.monotonic`) and what became of it."""

    began: float
    what: str


@dataclass(slots=True)
class Fates:
    """Requests begun, answered and failed. `farewells` are connections that the server ended as HTTP allows: with
    `Connection: close` on an answer, so that no request was on its way; they are told apart, not hidden."""

    kind: str
    begun: int = 0
    answered: int = 0
    farewells: int = 0
    failures: list[Failure] = field(default_factory=list)
    under_way: set[object] = field(default_factory=set)

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """One request: whatever is raised inside is its failure; only a cancelled one is not counted at all."""
        self.begun += 1
        began = monotonic()
        request = object()
        self.under_way.add(request)
        try:
            yield
        except (Failed, OSError, EOFError, TimeoutError) as error:
            self.failures.append(Failure(began, f"{type(error).__name__}: {error}"))
        except BaseException:
            self.begun -= 1
            raise
        else:
            self.answered += 1
        finally:
            self.under_way.discard(request)

    def is_complete(self) -> bool:
        """Whether every request that began has ended."""
        return self.begun == self.answered + len(self.failures)
