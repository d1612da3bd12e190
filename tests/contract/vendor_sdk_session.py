"""What a user of the vendor's Python SDK does, run by that SDK's own interpreter; see test_vendor_sdk.py.

The SDK is used as it was published. It was written for Python up to 3.7, hence the name that is put back below.
"""

import collections
import collections.abc
import json
import sys
from typing import Any

collections.MutableMapping = collections.abc.MutableMapping  # type: ignore[attr-defined]

from openstack import connection, exceptions, resource2  # noqa: E402
from openstack.load_balancer.v1.job import Job  # noqa: E402


def main(given: dict[str, Any]) -> dict[str, Any]:
    known = given["credentials"]
    cloud = connection.Connection(
        auth_url=known["auth_url"],
        username=known["username"],
        password=known["password"],
        user_domain_name=known["user_domain_name"],
        project_name=known["project_name"],
        project_domain_name=known["user_domain_name"],
    )
    elb = cloud.load_balancer
    told: dict[str, Any] = {}

    def done(job_id: str) -> Any:
        job = Job(id=job_id)
        return resource2.wait_for_status(elb._session, job, "SUCCESS", interval=0.05, failures=["FAIL"], wait=20)

    created = elb.create_load_balancer(
        name="from-the-sdk", vpc_id="vpc", bandwidth=1, type="External", is_admin_state_up=True
    )
    made = done(created.job_id).entities["elb"]
    shown = elb.get_load_balancer(made["id"])
    told["load_balancer"] = {"name": shown.name, "status": shown.status, "vip_address": shown.vip_address}
    told["listed"] = [one.name for one in elb.load_balancers(name="from-the-sdk")]
    done(elb.update_load_balancer(shown, description="changed", bandwidth=2, admin_state_up=True).job_id)
    changed = elb.get_load_balancer(made["id"])
    told["changed"] = [changed.description, changed.bandwidth, changed.is_admin_state_up]

    listener = elb.create_listener(
        name="web",
        loadbalancer_id=made["id"],
        protocol="HTTP",
        port=given["port"],
        backend_protocol="HTTP",
        backend_port=given["backend_port"],
        lb_algorithm="roundrobin",
        is_session_sticky=False,
    )
    told["listener"] = [listener.status, listener.port, listener.is_session_sticky]
    told["listeners"] = [one.id == listener.id for one in elb.listeners(loadbalancer_id=made["id"])]
    check = elb.create_health_check(
        listener_id=listener.id,
        healthcheck_protocol="HTTP",
        healthcheck_interval=1,
        healthcheck_timeout=1,
        healthcheck_uri="/health",
        healthy_threshold=1,
        unhealthy_threshold=2,
    )
    told["health_check"] = [elb.get_health_check(check.id).healthcheck_uri, check.healthy_threshold]
    told["checked_faster"] = elb.update_health_check(check, healthcheck_timeout=2).healthcheck_timeout

    wanted = [{"server_id": f"server-{address}", "address": address} for address in given["backends"]]
    job = done(elb.add_members_to_listener(listener, wanted).id)
    told["added"] = [member["address"] for member in job.entities["members"]]
    members = list(elb.listener_members(listener))
    told["members"] = sorted(member.server_address for member in members)
    done(elb.remove_members_of_listener(listener, [members[0].id]).id)
    told["left"] = len(list(elb.listener_members(listener)))
    told["removed"] = members[0].address
    told["quotas"] = {quota.type: quota.used for quota in elb.quotas()}

    certificate = elb.create_certificate(name="site", **given["certificate"])
    told["certificates"] = [one.name for one in elb.certificates() if one.id == certificate.id]
    told["certificate_changed"] = elb.update_certificate(certificate, description="changed").description
    elb.delete_certificate(certificate)
    told["certificates_left"] = [one.name for one in elb.certificates() if one.id == certificate.id]

    say("serving", shown.vip_address)
    sys.stdin.readline()
    done(elb.remove_members_of_listener(listener, [member.id for member in members[1:]]).id)
    elb.delete_health_check(check)
    elb.delete_listener(listener)
    done(elb.delete_load_balancer(shown).job_id)
    try:
        elb.get_load_balancer(made["id"])
    except exceptions.NotFoundException as gone:
        told["gone"] = str(gone)
    return told


def say(what: str, value: object) -> None:
    print(json.dumps({what: value}), flush=True)


if __name__ == "__main__":
    say("told", main(json.loads(sys.stdin.readline())))
