"""What is promised of deliveries (docs/reference/webhooks.md), with a real database and real receivers."""

import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from equipoise.api.classic.wire import jobs as wire
from equipoise.controller.retention import Retention
from equipoise.core.commands import PutWebhookCommand
from equipoise.core.jobs import JobFilters
from equipoise.store import webhooks as store
from equipoise.store.database import sqlite_url
from equipoise.usecases import jobs, load_balancers, webhooks
from equipoise.webhooks.delivery import Deliveries
from equipoise.webhooks.targets import Targets
from tests.receiver import Receiver
from tests.store.controller_stand import CALLER, PROJECT, Stand, new_load_balancer, open_stand

QUICK = (0.01, 0.02, 0.03)
HOURS = (3600.0,)


def example() -> Callable[[str, dict[str, str], bytes], bool]:
    """The function that the reference gives to receivers."""
    page = (Path(__file__).parents[2] / "docs/reference/webhooks.md").read_text()
    names: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    found: Callable[[str, dict[str, str], bytes], bool] = names["is_genuine"]
    return found


@asynccontextmanager
async def delivering(
    stand: Stand, pauses: Sequence[float] = QUICK, seconds: float = 10.0, forbidden: str = "169.254.0.0/16"
) -> AsyncIterator[Deliveries]:
    deliveries = Deliveries(
        stand.database,
        stand.vault.unseal,
        lambda job: msgspec.json.encode(wire.job(job)),
        Targets([ip_network(forbidden)]),
        seconds,
        pauses,
    )
    deliveries.start()
    try:
        yield deliveries
    finally:
        await deliveries.stop()


async def put(stand: Stand, url: str, secret: str | None = None) -> str:
    """Set the webhook of the project; returns its secret."""
    command = PutWebhookCommand(url, secret, keeps_secret=False)
    await stand.write(lambda tx: webhooks.put_webhook(tx, CALLER, stand.vault, command))
    return stand.vault.unseal(stand.read(lambda c: webhooks.show_webhook(c, CALLER)).secret)


def pending(stand: Stand) -> int:
    return stand.read(lambda c: int(c.exec_driver_sql("SELECT count(*) FROM webhook_deliveries").scalar_one()))


async def delivered(stand: Stand, receiver: Receiver, count: int) -> None:
    """Wait until so many requests have come and nothing is left to deliver."""
    await stand.until(lambda: len(receiver.received) >= count and pending(stand) == 0)


async def test_the_end_of_a_job_is_told_with_its_document_and_a_signature_that_the_example_accepts(
    database_url: str,
) -> None:
    with Receiver() as receiver:
        async with open_stand(database_url) as stand, delivering(stand):
            secret = await put(stand, receiver.url)
            job = await stand.ended(await stand.create_load_balancer())
            await delivered(stand, receiver, 1)
    [told] = receiver.received
    assert (told.path, told.headers["content-type"]) == ("/ended", "application/json")
    assert json.loads(told.body) == wire.job(job)
    is_genuine = example()
    assert is_genuine(secret, told.headers, told.body)
    assert not is_genuine(secret, told.headers, told.body.replace(b"SUCCESS", b"FAIL"))
    assert not is_genuine(secret, told.headers | {"webhook-id": "other"}, told.body)
    assert not is_genuine(secret, told.headers | {"webhook-timestamp": "1"}, told.body)
    assert not is_genuine("whsec_" + "A" * 32, told.headers, told.body)


async def test_a_cancelled_job_is_told_too(database_url: str) -> None:
    with Receiver() as receiver:
        async with open_stand(database_url, connected=False) as stand, delivering(stand):
            await put(stand, receiver.url)
            created = await stand.create_load_balancer()
            await stand.write(lambda tx: jobs.cancel_job(tx, CALLER, created.job_id))
            await delivered(stand, receiver, 1)
    assert json.loads(receiver.received[0].body)["status"] == "FAIL"


async def test_a_receiver_that_fails_is_asked_again_under_the_same_id(database_url: str) -> None:
    with Receiver() as receiver:
        receiver.statuses = [500, 302]
        async with open_stand(database_url) as stand, delivering(stand):
            secret = await put(stand, receiver.url)
            await stand.ended(await stand.create_load_balancer())
            await delivered(stand, receiver, 3)
    assert len({told.id for told in receiver.received}) == 1
    assert {told.path for told in receiver.received} == {"/ended"}
    assert all(example()(secret, told.headers, told.body) for told in receiver.received)


async def test_refused_connections_are_tried_again(database_url: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        async with open_stand(database_url) as stand:
            with capture_logs() as logs:
                async with delivering(stand, pauses=[0.01] * 10_000):
                    await put(stand, f"http://localhost:{port}/ended")
                    await stand.ended(await stand.create_load_balancer())
                    await stand.until(lambda: any(line["event"] == "webhook_not_delivered" for line in logs))
                    nobody.close()
                    with Receiver(port) as receiver:
                        await delivered(stand, receiver, 1)
    assert len(receiver.received) == 1
    assert receiver.received[0].headers["host"] == f"localhost:{port}"


async def test_after_the_last_attempt_it_is_given_up_with_a_log_line_that_names_no_url(database_url: str) -> None:
    with Receiver() as receiver, capture_logs() as logs:
        receiver.statuses = [503] * 10
        async with open_stand(database_url) as stand, delivering(stand):
            await put(stand, receiver.url + "?password=x")
            job = await stand.ended(await stand.create_load_balancer())
            await delivered(stand, receiver, len(QUICK) + 1)
    assert len(receiver.received) == len(QUICK) + 1
    [line] = [line for line in logs if line["event"] == "webhook_given_up"]
    assert (line["log_level"], line["job_id"], line["reason"]) == ("warning", job.id, "status 503")
    assert "password" not in str(logs)


async def test_what_was_not_delivered_is_delivered_after_a_restart(database_url: str) -> None:
    with Receiver() as receiver:
        async with open_stand(database_url) as stand:
            # Nobody delivers: as if the process had died right after the commit.
            await put(stand, receiver.url)
            job = await stand.ended(await stand.create_load_balancer())
            assert pending(stand) == 1
            vault = stand.vault
        async with open_stand(database_url) as stand:
            stand.vault = vault
            async with delivering(stand):
                await delivered(stand, receiver, 1)
    assert json.loads(receiver.received[0].body)["job_id"] == job.id


async def test_what_somebody_else_has_claimed_is_left_alone_until_the_claim_is_over(database_url: str) -> None:
    now = [1_000_000.0]
    async with open_stand(database_url, clock=lambda: now[0]) as stand:
        await put(stand, "http://127.0.0.1:9/")
        await stand.ended(await stand.create_load_balancer())

        async def claim() -> list[int]:
            claimed = await stand.write(lambda tx: store.claim(tx, PROJECT, most=16, lease=10_000))
            return [one.attempt for one in claimed]

        assert await claim() == [1]
        assert await claim() == []
        now[0] += 10
        assert await claim() == [2]


async def test_jobs_do_not_wait_for_a_receiver_that_does_not_answer(database_url: str) -> None:
    with Receiver() as receiver:
        receiver.hold = threading.Event()
        async with open_stand(database_url) as stand, delivering(stand):
            await put(stand, receiver.url)
            for _ in range(3):
                await stand.ended(await stand.create_load_balancer())
            await stand.until(lambda: bool(receiver.received))
            assert pending(stand) == 3
            receiver.hold.set()
            await delivered(stand, receiver, 3)


async def test_a_receiver_that_never_answers_is_left_after_the_time_limit(database_url: str) -> None:
    with Receiver() as receiver, capture_logs() as logs:
        receiver.hold = threading.Event()
        async with open_stand(database_url) as stand, delivering(stand, HOURS, seconds=0.2):
            await put(stand, receiver.url)
            await stand.ended(await stand.create_load_balancer())
            await stand.until(lambda: any(line.get("reason") == "no answer within 0.2 s" for line in logs))
            assert pending(stand) == 1


async def test_an_answer_without_end_is_not_read(database_url: str) -> None:
    with Receiver() as receiver:
        receiver.endless = True
        async with open_stand(database_url) as stand, delivering(stand, HOURS):
            await put(stand, receiver.url)
            await stand.ended(await stand.create_load_balancer())
            await delivered(stand, receiver, 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_nothing_is_sent_to_a_forbidden_address_whatever_its_name(tmp_path: Path, host: str) -> None:
    with Receiver() as receiver, capture_logs() as logs:
        async with (
            open_stand(sqlite_url(tmp_path / "test.db")) as stand,
            delivering(stand, HOURS, forbidden="127.0.0.0/8"),
        ):
            await put(stand, f"http://{host}:{receiver.port}/")
            await stand.ended(await stand.create_load_balancer())
            await stand.until(lambda: any("forbidden" in str(line.get("reason")) for line in logs))
    assert receiver.received == []


async def test_a_project_without_a_webhook_has_nothing_to_deliver_even_if_others_have(database_url: str) -> None:
    other = replace(CALLER, project_id="b" * 32)
    async with open_stand(database_url) as stand:
        await put(stand, "http://127.0.0.1:9/")
        created = await stand.write(
            lambda tx: load_balancers.create_load_balancer(tx, other, stand.policy, new_load_balancer())
        )
        await stand.until(lambda: stand.story(created)[-1:] == ["SUCCESS"])
        assert pending(stand) == 0


async def test_with_the_webhook_what_was_to_be_delivered_is_deleted(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        await put(stand, "http://127.0.0.1:9/")
        await stand.ended(await stand.create_load_balancer())
        assert pending(stand) == 1
        await stand.write(lambda tx: webhooks.delete_webhook(tx, CALLER))
        assert pending(stand) == 0


async def test_a_job_is_not_forgotten_while_its_end_is_to_be_told(database_url: str) -> None:
    now = [1_000_000.0]
    async with open_stand(database_url, clock=lambda: now[0]) as stand:
        await put(stand, "http://127.0.0.1:9/")
        created = await stand.create_load_balancer()
        await stand.ended(created)
        now[0] += 1
        await Retention(stand.database, job_days=0).forget()
        assert stand.job(created).ended
        await stand.write(lambda tx: webhooks.delete_webhook(tx, CALLER))
        await Retention(stand.database, job_days=0).forget()
        assert stand.read(lambda c: jobs.list_jobs(c, CALLER, JobFilters(), None, None)) == []


async def test_the_secret_is_stored_encrypted(database_url: str) -> None:
    async with open_stand(database_url) as stand:
        secret = await put(stand, "http://127.0.0.1:9/")
        row = stand.read(lambda c: c.exec_driver_sql("SELECT * FROM webhooks").one())
        assert secret.removeprefix("whsec_") not in str(row)
