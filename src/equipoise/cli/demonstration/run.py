"""The life of a demo: the walk, then the wait, and in every case the end of all that was started."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from equipoise.cli.demonstration.ending import Ending
from equipoise.cli.demonstration.failure import DemoFailed
from equipoise.cli.demonstration.screen import Screen
from equipoise.cli.demonstration.walk import Stand, walk

_SIGNALLED = 128


async def run(screen: Screen, *, once: bool) -> int:
    """Run the demo; returns the exit status.

    That is 0 when the walk was completed, however the stand then ends, 1 when something failed, and 128 + the
    number of a signal that came before.
    """
    ending = Ending(needs_input=not once)
    with ending.by_signals():
        demo = _Demo(screen, once=once)
        performance = asyncio.create_task(demo.perform())
        asked = asyncio.create_task(ending.wait())
        await asyncio.wait((performance, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not demo.ends_by_itself:
            performance.cancel()
        # Cancelled once and for all: whatever is started is ended here, however long that takes.
        await asyncio.wait((performance, asked))
        if performance.cancelled():
            screen.ending("Ended: the service, Envoy and the backends are stopped, the folder is removed.")
            return 0 if demo.completed else _SIGNALLED + (ending.signal or 1)
        try:
            performance.result()
        except DemoFailed as failure:
            screen.failure(failure.what, failure.remedy, failure.evidence)
            return 1
    return 0


class _Demo:
    def __init__(self, screen: Screen, *, once: bool) -> None:
        self._screen = screen
        self._once = once
        self.completed = False
        # It is putting everything in order already, and knows what to say at the end.
        self.ends_by_itself = False

    async def perform(self) -> None:
        """Walk, then wait until cancelled. Raises DemoFailed."""
        self._screen.introduction()
        async with AsyncExitStack() as parts:
            folder = Path(parts.enter_context(_temporary_folder()))
            with self._screen.progress():
                stand = await walk(self._screen, folder, parts)
            self._screen.timings()
            self.completed = True
            if not self._once:
                self._invite(stand)
                failure = await stand.service.ended()
                self.ends_by_itself = True
                raise failure

    def _invite(self, stand: Stand) -> None:
        with_token = f'curl -H "X-Auth-Token: $(cat {stand.token})" {stand.api}'
        self._screen.invitation(
            [
                ("Ask the load balancer, as often as you like:", f"curl {stand.front}"),
                ("Ask the API for all load balancers:", with_token),
                ("The API:", stand.service.url),
                ("User, password and project:", str(stand.service.credentials)),
                ("What the service writes to its log:", f"tail -f {stand.service.log}"),
            ],
            "Ctrl-C ends everything and removes the folder.",
        )


def _temporary_folder() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="equipoise-demo-", ignore_cleanup_errors=True)
    except OSError as error:
        raise DemoFailed(
            f"No temporary folder can be made: {error.strerror}.",
            "Set TMPDIR to a folder that can be written, then start again.",
        ) from error
