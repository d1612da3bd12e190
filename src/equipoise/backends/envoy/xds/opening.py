"""When a port is open or closed in truth: Envoy accepts a listener before it opens it, and its end before it closes it.

The kernel has no event for either, so it is asked again and again, for as long as it can be Envoy's doing.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from equipoise.backends.envoy.xds.listening import is_listening
from equipoise.proxy.model import ListenAddress, Transport

_CHANGE_SECONDS = 0.25
_LOOK_SECONDS = 0.001

_OPEN_SECONDS = 20.0
"""How long an Envoy that starts may take until it listens: longer than it waits for a certificate that never comes."""

Generations = Mapping[str, int]
"""Of load balancers, by their ids."""


class Opening:
    """Reports what a node has accepted: at once, but for the first, which a starting Envoy opens all together when it
    has what any of them waits for.

    Args:
        report: told the generations. What it raises in a call of `confirmed` comes out of that.
        listen_addresses: where the node has accepted listeners of load balancers with these ids.
        is_here: tells whether the node is on this machine; elsewhere nobody can look.
        failed: called when the first could not be reported; nothing is reported from then on.
    """

    def __init__(
        self,
        report: Callable[[Generations], None],
        listen_addresses: Callable[[Iterable[str]], Iterable[ListenAddress]],
        is_here: Callable[[], bool],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._report = report
        self._listen_addresses = listen_addresses
        self._is_here = is_here
        self._failed = failed
        self._accepted: dict[str, int] = {}
        self._waiting: asyncio.Task[None] | None = None
        self._is_over = False

    def confirmed(self, generations: Generations) -> None:
        """Note that the node has accepted these. Needs a running event loop."""
        if self._is_over:
            self._report(generations)
            return
        self._accepted.update(generations)
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._report_when_open())
            self._waiting.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Report nothing of what is still waited for; nothing may be confirmed after it."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def _report_when_open(self) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + (_OPEN_SECONDS if self._is_here() else 0.0)
        while self._accepted:
            accepted, self._accepted = self._accepted, {}
            for listen_address in self._listen_addresses(accepted):
                await _until(True, listen_address, deadline)
                # All the others are opened in the same breath, or never.
                deadline = min(deadline, clock() + _CHANGE_SECONDS)
            self._report(accepted)
        self._is_over = True

    def _ended(self, waiting: asyncio.Task[None]) -> None:
        error = None if waiting.cancelled() else waiting.exception()
        if error is not None:
            self._failed(error)


async def vacated(listen_addresses: Iterable[ListenAddress]) -> None:
    """Wait until nobody listens there any more, or for as long as that can be Envoy's doing.

    Envoy accepts the end of a listener when it has told its workers; each closes its part at its next turn. The
    end is to be reported when a client is rejected. Datagrams are not waited for: none was served after the acceptance,
    and the socket stays open until Envoy has drained the listener.
    """
    deadline = asyncio.get_running_loop().time() + _CHANGE_SECONDS
    for listen_address in listen_addresses:
        await _until(False, listen_address, deadline)


async def _until(is_open: bool, listen_address: ListenAddress, deadline: float) -> None:
    """Wait until somebody listens on an address of TCP, or nobody."""
    if listen_address.transport is not Transport.TCP:
        return
    clock = asyncio.get_running_loop().time
    # Some sandboxes have no netlink: there Envoy's word is all that can be had.
    with suppress(OSError):
        while is_listening(listen_address.address, listen_address.port) != is_open and clock() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
