"""What answers must look like: the fields of each resource with their JSON types, and the body of an error."""

import re
from collections.abc import Mapping
from typing import Any

import httpx

Shape = Mapping[str, tuple[type, ...]]

ID = re.compile(r"[0-9a-f]{32}")
RESOURCE_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
JOB_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NULL = type(None)
NO_SUCH_ID = "0" * 32

LOAD_BALANCER: Shape = {
    "id": (str,),
    "name": (str,),
    "description": (str,),
    "type": (str,),
    "status": (str,),
    "bandwidth": (int, NULL),
    "vpc_id": (str,),
    "vip_subnet_id": (str, NULL),
    "vip_address": (str,),
    "security_group_id": (str, NULL),
    "az": (str, NULL),
    "admin_state_up": (int,),
    "create_time": (str,),
    "update_time": (str,),
}
LISTENER: Shape = {
    "id": (str,),
    "name": (str,),
    "description": (str,),
    "loadbalancer_id": (str,),
    "protocol": (str,),
    "port": (int,),
    "backend_protocol": (str,),
    "backend_port": (int,),
    "lb_algorithm": (str,),
    "session_sticky": (bool,),
    "sticky_session_type": (str, NULL),
    "cookie_timeout": (int, NULL),
    "tcp_timeout": (int, NULL),
    "tcp_draining": (bool, NULL),
    "tcp_draining_timeout": (int, NULL),
    "udp_timeout": (int, NULL),
    "certificate_id": (str, NULL),
    "ssl_protocols": (str, NULL),
    "ssl_ciphers": (str, NULL),
    "healthcheck_id": (str, NULL),
    "status": (str,),
    "admin_state_up": (bool,),
    "create_time": (str,),
    "update_time": (str,),
}
LISTED_LISTENER: Shape = {**LISTENER, "member_number": (int,)}
MEMBER: Shape = {
    "id": (str,),
    "server_id": (str,),
    "server_name": (NULL,),
    "server_address": (str,),
    "address": (str,),
    "status": (str,),
    "health_status": (str,),
    "listeners": (list,),
    "create_time": (str,),
    "update_time": (str,),
}
HEALTH_CHECK: Shape = {
    "id": (str,),
    "listener_id": (str,),
    "healthcheck_protocol": (str,),
    "healthcheck_uri": (str, NULL),
    "healthcheck_connect_port": (int,),
    "healthy_threshold": (int,),
    "unhealthy_threshold": (int,),
    "healthcheck_timeout": (int,),
    "healthcheck_interval": (int,),
    "create_time": (str,),
    "update_time": (str,),
}
JOB: Shape = {
    "status": (str,),
    "entities": (dict,),
    "job_id": (str,),
    "job_type": (str,),
    "begin_time": (str,),
    "end_time": (str,),
    "error_code": (str, NULL),
    "fail_reason": (str, NULL),
}
JOB_LOAD_BALANCER: Shape = {
    "id": (str,),
    "name": (str,),
    "description": (str,),
    "type": (str,),
    "status": (str,),
    "bandwidth": (int, NULL),
    "vip_address": (str,),
    "tenant_id": (str,),
    "admin_state_up": (bool,),
    "vpc_id": (str,),
}
JOB_MEMBER: Shape = {
    "id": (str,),
    "address": (str,),
    "server_id": (str,),
    "listener_id": (str,),
    "status": (str,),
}
TASK: Shape = {"uri": (str,), "job_id": (str,)}


def assert_shape(document: dict[str, Any], shape: Shape) -> None:
    """Exactly the fields of the shape, each of exactly its JSON type: true is no integer here."""
    assert document.keys() == shape.keys()
    wrong = {name: value for name, value in document.items() if type(value) not in shape[name]}
    assert not wrong
    for name in {"create_time", "update_time"} & document.keys():
        assert RESOURCE_TIME.fullmatch(document[name])
    if "id" in document:
        assert ID.fullmatch(document["id"])


def assert_job(document: dict[str, Any]) -> None:
    """The shape of a job; `sub_jobs`, where there are any, are jobs themselves."""
    parts = document.get("sub_jobs")
    assert_shape({name: value for name, value in document.items() if name != "sub_jobs"}, JOB)
    if "sub_jobs" in document:
        assert isinstance(parts, list)
        assert parts, "left out when there are none (jobs.md, Choice)"
        for part in parts:
            assert_job(part)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an answer that must be an error with the body of return-values.md."""
    body = answer.json()
    assert body["error"] == {"message": body["message"], "code": body["code"]}, body
    assert body["message"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, body["code"]


def member(number: int) -> dict[str, str]:
    """One element of the body that adds members."""
    return {"server_id": f"server-{number}", "address": f"127.9.{number // 256}.{number % 256}"}
