"""How one description of a call serves both clients.

A call is described as a generator: it yields each request, is sent the answer, and returns the result. `Client` sends
the requests itself, `AsyncClient` awaits them. (httpx describes authentication in the same way.)
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

from equipoise.client.transport import ApiRequest, ApiResponse

P = ParamSpec("P")
T = TypeVar("T")

Steps = Generator[ApiRequest, ApiResponse, T]


class Runs(Protocol):
    """A client that returns when a call is done."""

    def run(self, steps: Steps[T]) -> T: ...


class RunsAsync(Protocol):
    """A client whose calls are awaited."""

    def run(self, steps: Steps[T]) -> Coroutine[Any, Any, T]: ...


class Call(Generic[P, T]):
    """Decorates a method that describes a call: the method then makes the call, in the way of the client it is of."""

    def __init__(self, describe: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    @overload
    def __get__(self, client: Runs, owner: type) -> Callable[P, T]: ...

    @overload
    def __get__(self, client: RunsAsync, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, client: Any, owner: type) -> Any:
        if client is None:
            return self

        def make(*args: P.args, **fields: P.kwargs) -> Any:
            return client.run(self._describe(client, *args, **fields))

        return make
