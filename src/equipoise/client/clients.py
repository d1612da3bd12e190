"""The two clients: one returns when a call is done, the other is awaited."""

from types import TracebackType
from typing import Self, TypeVar

from equipoise.client.calls import Calls
from equipoise.client.login import Login
from equipoise.client.steps import Steps
from equipoise.client.transport import AsyncTransport, SyncTransport

T = TypeVar("T")


class Client(Calls):
    """Makes the calls of `Calls`, one after the other. As a context manager it closes its transport."""

    def __init__(self, transport: SyncTransport, login: Login) -> None:
        super().__init__(login)
        self._transport = transport

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def run(self, steps: Steps[T]) -> T:
        """Make one call from its description."""
        try:
            request = next(steps)
            while True:
                request = steps.send(self._transport.send(request))
        except StopIteration as end:
            result: T = end.value
            return result


class AsyncClient(Calls):
    """Makes the calls of `Calls` when they are awaited. As an asynchronous context manager it closes its transport."""

    def __init__(self, transport: AsyncTransport, login: Login) -> None:
        super().__init__(login)
        self._transport = transport

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def run(self, steps: Steps[T]) -> T:
        """Make one call from its description."""
        try:
            request = next(steps)
            while True:
                request = steps.send(await self._transport.send(request))
        except StopIteration as end:
            result: T = end.value
            return result
