"""Sends what is to be delivered, again and again until it is taken or given up. What is to be delivered is in the
database (`equipoise.store.webhooks`); what it says is given by whoever builds this.

A delivery is claimed for a while before it is sent: whoever dies meanwhile leaves it to the next, so it arrives at
least once. Projects do not wait for each other, and nothing of the service waits for a receiver.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final

import httpx
import structlog

from equipoise.core.jobs import Job
from equipoise.store import webhooks
from equipoise.store.database import Database, StoreUnavailable
from equipoise.store.events import DeliveryWanted, Event
from equipoise.store.jobs import queries
from equipoise.webhooks import signing
from equipoise.webhooks.targets import TargetForbidden, Targets

_log = structlog.get_logger("equipoise.webhooks")

PAUSES: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 3 * 3600.0, 6 * 3600.0)
"""Seconds from one attempt to the next; after the last attempt a delivery is given up, about 12 hours in."""

_BATCH: Final = 16
"""Deliveries of one project that are under way at once."""

_ROUNDS: Final = 32
"""Projects that are served at once."""

_MARGIN: Final = 5.0
"""Seconds beside the time of a request for which a delivery is claimed."""

_LOOK_SECONDS: Final = 60.0
"""How often to look for what another process has left."""

_RETRY_SECONDS: Final = 1.0


class Deliveries:
    """Delivers to all projects' webhooks.

    Args:
        unseal: makes the secret of what is stored.
        render: the body of the delivery about a job.
        timeout: seconds in which a receiver must have answered.
    """

    def __init__(
        self,
        database: Database,
        unseal: Callable[[str], str],
        render: Callable[[Job], bytes],
        targets: Targets,
        timeout: float,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._database = database
        self._unseal = unseal
        self._render = render
        self._targets = targets
        self._timeout = timeout
        self._pauses = pauses
        self._lease = int((timeout + _MARGIN) * 1000)
        self._rounds = asyncio.Semaphore(_ROUNDS)
        # Of projects that are being served: set when there is more to deliver.
        self._woken: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Made with the first delivery: to read all authorities takes its time.
        self._http: httpx.AsyncClient | None = None
        self._failed: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._failed = asyncio.get_running_loop().create_future()
        self._database.on_commit(self._follow)
        self._spawn(self._look_forever())

    async def failed(self) -> None:
        """Return only by raising: a defect."""
        if self._failed is not None:
            await asyncio.shield(self._failed)

    async def stop(self) -> None:
        """Stop; what is not delivered is sent after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.aclose()

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                # The authorities of this machine, to which its operator may have added one.
                verify=ssl.create_default_context(),
                # No proxy out of the environment: where it goes is the user's wish and the operator's rule.
                trust_env=False,
                follow_redirects=False,
                timeout=self._timeout,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            )
        return self._http

    def _follow(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, DeliveryWanted):
                self._serve(event.project_id)

    async def _look_forever(self) -> None:
        while True:
            try:
                for project_id in await self._database.read(webhooks.projects_with_deliveries):
                    self._serve(project_id)
            except StoreUnavailable as error:
                _log.warning("deliveries_not_looked_for", reason=str(error), retry_in=_LOOK_SECONDS)
            await asyncio.sleep(_LOOK_SECONDS)

    def _serve(self, project_id: str) -> None:
        if project_id in self._woken:
            self._woken[project_id].set()
            return
        self._woken[project_id] = asyncio.Event()
        self._spawn(self._serve_until_done(project_id))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="webhooks")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def _serve_until_done(self, project_id: str) -> None:
        woken = self._woken[project_id]
        while True:
            woken.clear()
            try:
                async with self._rounds:
                    if await self._round(project_id):
                        continue
                due = await self._database.read(partial(webhooks.next_time, project_id=project_id))
            except StoreUnavailable as error:
                _log.warning("deliveries_wait", project_id=project_id, reason=str(error), retry_in=_RETRY_SECONDS)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if due is not None:
                await _set_within(woken, (due - self._database.now()) / 1000)
            elif not woken.is_set():
                del self._woken[project_id]
                return

    async def _round(self, project_id: str) -> bool:
        """Send what is due of a project, as much as goes at once. Returns whether there was anything."""
        claimed = await self._database.write(
            partial(webhooks.claim, project_id=project_id, most=_BATCH, lease=self._lease), lane=project_id
        )
        if not claimed:
            return False
        found = await self._database.read(
            lambda connection: [queries.get(connection, project_id, one.job_id) for one in claimed]
        )
        sent = [self._attempt(one, job) for one, job in zip(claimed, found, strict=True) if job is not None]
        pauses = dict(await asyncio.gather(*sent))
        again = {id: int(pause * 1000) for id, pause in pauses.items() if pause is not None}
        done = [one.id for one in claimed if one.id not in again]
        await self._database.write(partial(webhooks.settle, done=done, again=again), lane=project_id)
        return True

    async def _attempt(self, one: webhooks.Claimed, job: Job) -> tuple[str, float | None]:
        """Send once. Returns the id of the delivery with the pause before the next attempt, None when it is done."""
        cause = await self._send(one, self._render(job))
        known = {"project_id": job.project_id, "delivery_id": one.id, "job_id": job.id, "attempt": one.attempt}
        if cause is None:
            _log.debug("webhook_delivered", **known)
            return one.id, None
        if one.attempt > len(self._pauses):
            _log.warning("webhook_given_up", reason=cause, **known)
            return one.id, None
        pause = self._pauses[one.attempt - 1]
        _log.info("webhook_not_delivered", reason=cause, retry_in=pause, **known)
        return one.id, pause

    async def _send(self, one: webhooks.Claimed, body: bytes) -> str | None:
        """Why it was not taken, None if it was. Never quotes the URL: there may be a password in it."""
        try:
            url = httpx.URL(one.url)
            async with asyncio.timeout(self._timeout):
                port = url.port or {"http": 80, "https": 443}[url.scheme]
                address = await self._targets.address_of(url.host, port)
                headers = signing.headers(self._unseal(one.secret), one.id, self._database.now() // 1000, body)
                request = self._client().build_request(
                    "POST",
                    url.copy_with(host=address),
                    content=body,
                    headers={
                        **headers,
                        "host": url.netloc.decode("ascii"),
                        "content-type": "application/json",
                        "user-agent": "equipoise",
                    },
                    # The address is called; the name is what its certificate must be for.
                    extensions={"sni_hostname": url.host},
                )
                answer = await self._client().send(request, stream=True)
                # What it says beside the status is of no interest, and may be without end.
                await answer.aclose()
        except TimeoutError:
            return f"no answer within {self._timeout:g} s"
        except (httpx.TransportError, httpx.InvalidURL, TargetForbidden, UnicodeError, OSError) as error:
            return str(error) or type(error).__name__
        return None if answer.is_success else f"status {answer.status_code}"


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await event.wait()
    except TimeoutError:
        pass
