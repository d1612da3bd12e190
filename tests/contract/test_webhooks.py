"""The webhook of a project (docs/reference/webhooks.md): the operations, and deliveries of a real service."""

import base64
import json
from typing import Any
from uuid import uuid4

import pytest

from stand import Api, Service, eventually
from tests.contract.wire import assert_shape, refusal
from tests.people import add_project, add_user, member_of_new_project
from tests.receiver import Receiver

MASK = "******"
OWN_SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
WEBHOOK = {"url": (str,), "secret": (str,), "create_time": (str,), "update_time": (str,)}
LOAD_BALANCER = {"name": "lb", "vpc_id": "v", "type": "External", "bandwidth": 5, "admin_state_up": 1}
URL = "http://127.0.0.1:9/ended"


def put(api: Api, **body: object) -> dict[str, Any]:
    found: dict[str, Any] = api.ok("PUT", "/webhook", json=body)
    return found


def test_the_secret_is_shown_once_and_masked_afterwards(project: Api) -> None:
    made = put(project, url=URL)
    assert_shape(made, WEBHOOK)
    assert made["url"] == URL
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"))) == 32
    shown = project.ok("GET", "/webhook")
    assert shown == made | {"secret": MASK}
    assert put(project, url=URL)["secret"] not in (made["secret"], MASK)


def test_a_secret_of_ones_own_is_taken_and_the_mask_keeps_it(project: Api) -> None:
    assert put(project, url=URL, secret=OWN_SECRET)["secret"] == OWN_SECRET
    kept = put(project, url=URL + "/2", secret=MASK)
    assert (kept["url"], kept["secret"]) == (URL + "/2", MASK)


def test_put_sent_twice_under_a_key_gives_the_same_secret(project: Api) -> None:
    key = {"Idempotency-Key": uuid4().hex}
    first, second = (project.ok("PUT", "/webhook", json={"url": URL}, headers=key) for _ in range(2))
    assert first == second


def test_a_project_has_no_webhook_until_it_sets_one(project: Api) -> None:
    assert refusal(project.call("GET", "/webhook")) == (404, "Not Found")
    assert refusal(project.call("DELETE", "/webhook")) == (404, "Not Found")
    put(project, url=URL)
    answer = project.call("DELETE", "/webhook")
    assert (answer.status_code, answer.content) == (204, b"")
    assert project.call("GET", "/webhook").status_code == 404


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "url is mandatory"),
        ({"url": 1}, "url must be a text"),
        ({"url": "http://host/ü"}, "visible ASCII"),
        ({"url": "http://host/" + "x" * 1024}, "at most 1024"),
        ({"url": "ftp://host/"}, "http:// or https://"),
        ({"url": "host/path"}, "http:// or https://"),
        ({"url": "http:///path"}, "host and port"),
        ({"url": "http://host:0/"}, "host and port"),
        ({"url": "http://host:70000/"}, "host and port"),
        ({"url": "http://[::1/"}, "host and port"),
        ({"url": "http://0*"}, "host and port"),
        ({"url": "http://host\\path"}, "host and port"),
        ({"url": "http://user:pass@host/"}, "user name"),
        ({"url": "http://host/#part"}, "fragment"),
        ({"url": "http://169.254.169.254/latest"}, "nothing is delivered"),
        ({"url": "http://[::ffff:169.254.169.254]/"}, "nothing is delivered"),
        ({"url": "http://0.0.0.0/"}, "nothing is delivered"),
        ({"url": URL, "secret": "s"}, "secret must be"),
        ({"url": URL, "secret": 1}, "secret must be"),
        ({"url": URL, "secret": "whsec_!!!"}, "secret must be"),
        ({"url": URL, "secret": "whsec_" + base64.b64encode(b"k" * 23).decode()}, "24 to 64 bytes"),
        ({"url": URL, "secret": MASK}, "none to be kept"),
        # The first field of the table wins.
        ({"url": "ftp://host/", "secret": "s"}, "url"),
    ],
)
def test_what_breaks_a_rule_is_refused_and_nothing_is_stored(tables: Api, body: object, told: str) -> None:
    answer = tables.call("PUT", "/webhook", json=body)
    assert refusal(answer) == (400, "Bad Request")
    assert told in answer.json()["detail"]
    assert tables.call("GET", "/webhook").status_code == 404


def test_who_may_only_read_sets_nothing(shared_service: Service) -> None:
    with Api(shared_service, add_user(shared_service, add_project(shared_service), "reader")) as reader:
        assert reader.call("PUT", "/webhook", json={"url": URL}).status_code == 403
        assert reader.call("GET", "/webhook").status_code == 404


def test_each_project_is_told_of_its_own_jobs_and_of_no_others(shared_service: Service) -> None:
    with (
        Receiver() as receiver,
        member_of_new_project(shared_service) as told,
        member_of_new_project(shared_service) as other,
        member_of_new_project(shared_service) as third,
    ):
        receiver.statuses = [500]
        put(told, url=receiver.url)
        put(other, url=f"{receiver.url}/other")
        job = told.succeed("POST", "/elbaas/loadbalancers", json=LOAD_BALANCER)
        third.succeed("POST", "/elbaas/loadbalancers", json=LOAD_BALANCER)
        of_other = other.succeed("POST", "/elbaas/loadbalancers", json=LOAD_BALANCER)
        # One of the first two to come is told to come again.
        eventually(lambda: len(receiver.received) == 3)
        own = [json.loads(one.body) for one in receiver.received if one.path == "/ended"]
        others = [json.loads(one.body) for one in receiver.received if one.path == "/ended/other"]
        assert own in ([job], [job] * 2)
        assert others in ([of_other], [of_other] * 2)


def test_after_a_kill_what_was_not_delivered_is_delivered(own_service: Service) -> None:
    with Api(own_service) as api, Receiver() as receiver:
        receiver.statuses = [500]
        secret = put(api, url=receiver.url)["secret"]
        job = api.succeed("POST", "/elbaas/loadbalancers", json=LOAD_BALANCER)
        eventually(lambda: receiver.received)
        own_service.kill()
        own_service.start()
        eventually(lambda: len(receiver.received) == 2)
    assert [json.loads(one.body) for one in receiver.received] == [job] * 2
    assert len({one.id for one in receiver.received}) == 1
    assert secret not in own_service.log()
    assert all(secret.encode() not in file.read_bytes() for file in own_service.data_dir.glob("*.db*"))
