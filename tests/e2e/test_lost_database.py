"""PostgreSQL goes away in the middle of a commit and stays away: what a client is told, and what becomes of it."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from stand import Api, Service, eventually
from stand.postgres import Postgres
from tests import impatient
from tests.contract.wire import refusal
from tests.cutting import Fate, cutting

LOAD_BALANCERS = "/elbaas/loadbalancers"
BODY = {"name": "lb", "vpc_id": "v", "type": "External", "bandwidth": 1, "admin_state_up": 1}
KEY = {"Idempotency-Key": "one"}


@pytest.mark.parametrize("fate", [Fate.DELIVERED, Fate.LOST])
async def test_a_write_of_which_nobody_knows_is_504_and_can_be_sent_again_under_its_key(
    tmp_path: Path, postgres: Postgres, fate: Fate
) -> None:
    url = postgres.new_database()
    async with cutting(postgres.port, fate, stays_away=True) as between:
        database = url.replace(f":{postgres.port}/", f":{between.own_port}/")
        service = Service(tmp_path / "data", f"database.url={database}")
        service.program = (sys.executable, impatient.__file__)
        try:
            await asyncio.to_thread(service.start)
            api = await asyncio.to_thread(Api, service)
            between.arm(b"INSERT INTO load_balancers")
            answer = await asyncio.to_thread(create, api)
            assert between.cuts == 1
            assert refusal(answer) == (504, "Gateway Timeout")
            assert "has not told whether it did" in answer.json()["detail"]
            # Of what comes after it is known.
            later = await asyncio.to_thread(api.call, "POST", LOAD_BALANCERS, json=BODY)
            assert refusal(later) == (503, "Service Unavailable")
            assert "nothing was stored" in later.json()["detail"]
            await between.come_back()
            if fate is Fate.DELIVERED:
                # It was stored, and is carried out without anybody asking for anything.
                [made] = await asyncio.to_thread(eventually, lambda: stored(api))
                await asyncio.to_thread(eventually, lambda: [each["status"] for each in stored(api)] == ["ACTIVE"])
            again = await asyncio.to_thread(eventually, lambda: repeated(api))
            job = await asyncio.to_thread(api.ended, again["job_id"])
            [shown] = await asyncio.to_thread(stored, api)
            assert (job["status"], job["entities"]["elb"]["id"], shown["status"]) == ("SUCCESS", shown["id"], "ACTIVE")
            if fate is Fate.DELIVERED:
                assert shown["id"] == made["id"]
            api.http.close()
        finally:
            await asyncio.to_thread(service.stop)


def create(api: Api) -> httpx.Response:
    return api.call("POST", LOAD_BALANCERS, json=BODY, headers=KEY)


def repeated(api: Api) -> dict[str, str]:
    """The answer to the same request under the same key, once the database can be used again."""
    answer = create(api)
    assert answer.status_code in {200, 503}, answer.text
    return dict(answer.json()) if answer.is_success else {}


def stored(api: Api) -> list[dict[str, str]]:
    answer = api.call("GET", LOAD_BALANCERS)
    assert answer.status_code in {200, 503}, answer.text
    return list(answer.json()["loadbalancers"]) if answer.is_success else []
