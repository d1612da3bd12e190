"""What errors look like on the wire of the classic API: status, code, message, headers.

One table translates the errors of the model and of HTTP into the rules of this API (`codes`), by operation where the
codes differ by it; another one each rule into an entry of the catalogue.

Codes, statuses and messages of the ELB.* catalogue are read from `errors.json`, the contract's own file, and stand
nowhere else. Source of the statuses without an ELB.* code: return-values.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import Final

import msgspec

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.core.errors import (
    AddressTaken,
    AlreadyExists,
    BeingDeleted,
    ChangedMeanwhile,
    CredentialsWrong,
    Frozen,
    IdentityUnavailable,
    InUse,
    InvalidField,
    KeyInvalid,
    KeyReused,
    MalformedDocument,
    NotApplicable,
    NotCancellable,
    NotFound,
    NotKnown,
    Overloaded,
    PoolExhausted,
    PortTaken,
    ProjectForbidden,
    QuotaExceeded,
    Rejected,
    RoleTooWeak,
    ServiceError,
    TokenExpired,
    TokenMalformed,
    TokenMissing,
    TokenRevoked,
    Unavailable,
    Unsupported,
    UpstreamInvalid,
    UpstreamTimeout,
)
from equipoise.core.jobs import FailureReason, WarningReason
from equipoise.core.references import ResourceKind, ResourceRef
from equipoise.http.errors import (
    DEFAULT_RETRY_AFTER_SECONDS,
    BodyMissing,
    BodyTooLarge,
    Circumstances,
    Defect,
    ErrorAnswer,
    GatewayRequired,
    Malformed,
    MethodNotAllowed,
    NotAcceptable,
    NotOffered,
    NotServing,
    PathUnknown,
    RequestError,
    RequestTooSlow,
    UrlTooLong,
)

JSON_TYPE: Final = b"application/json"


class Entry(msgspec.Struct, frozen=True):
    """One entry of `errors.json`. `status` is None for what never answers a request: reserved, or a job's error."""

    code: str
    operation: str
    documented_status: int
    status: int | None
    message: str
    when: str | None


@dataclass(frozen=True, slots=True)
class Translation:
    """`message` None means that the sentence for people is the message: the contract has no text for this rule."""

    status: int
    code: str
    message: str | None


@dataclass(frozen=True, slots=True)
class Elb:
    """Points at an entry of the catalogue.

    Args:
        code: the ELB.* code.
        operation: the operation of the entry, where the code stands more than once; "" takes the only one.
        occurrence: which one of those with that code and operation, counted from 0.
        status: the status for an entry without one, which the contract knows as the error of a job only.
        quoted: the message stands in quotation marks in the condition of the entry, not in its message.
    """

    code: str
    operation: str = ""
    occurrence: int = 0
    status: int | None = None
    quoted: bool = False


ENTRIES: Final = msgspec.json.decode(
    files("equipoise.api.classic").joinpath("errors.json").read_bytes(), type=tuple[Entry, ...]
)

SOURCES: Final[Mapping[Rule, Elb | HTTPStatus]] = {
    # Any request
    Rule.BODY_MISSING: Elb("ELB.0002"),
    Rule.BODY_MALFORMED: HTTPStatus.BAD_REQUEST,
    Rule.PROJECT_ID_EMPTY: Elb("ELB.0230"),
    Rule.URL_TOO_LONG: Elb("ELB.1000"),
    Rule.PATH_UNKNOWN: HTTPStatus.NOT_FOUND,
    Rule.LOAD_BALANCER_PATH_UNKNOWN: Elb("ELB.1030"),
    Rule.LISTENER_PATH_UNKNOWN: Elb("ELB.6020"),
    Rule.MEMBER_PATH_UNKNOWN: Elb("ELB.2000"),
    Rule.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Rule.NOT_ACCEPTABLE: HTTPStatus.NOT_ACCEPTABLE,
    Rule.REQUEST_TOO_SLOW: HTTPStatus.REQUEST_TIMEOUT,
    Rule.BODY_TOO_LARGE: HTTPStatus.BAD_REQUEST,  # 413 is not among the statuses of the contract
    Rule.UNSUPPORTED: HTTPStatus.NOT_IMPLEMENTED,
    Rule.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Rule.OVERLOADED: HTTPStatus.SERVICE_UNAVAILABLE,
    Rule.UPSTREAM_TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    Rule.UPSTREAM_INVALID: Elb("ELB.0004"),
    Rule.DEFECT: HTTPStatus.INTERNAL_SERVER_ERROR,
    # Identity
    Rule.TOKEN_MISSING: HTTPStatus.UNAUTHORIZED,
    Rule.TOKEN_MALFORMED: Elb("ELB.1102"),
    Rule.TOKEN_EXPIRED: Elb("ELB.1103"),
    Rule.TOKEN_REVOKED: Elb("ELB.1104"),
    Rule.CREDENTIALS_WRONG: Elb("ELB.1109"),
    Rule.IDENTITY_UNAVAILABLE: Elb("ELB.1201"),
    Rule.PROJECT_FORBIDDEN: HTTPStatus.FORBIDDEN,
    Rule.PROJECT_UNKNOWN: HTTPStatus.NOT_FOUND,
    Rule.IDENTITY_UNKNOWN: HTTPStatus.NOT_FOUND,
    Rule.ROLE_TOO_WEAK: HTTPStatus.FORBIDDEN,
    Rule.GATEWAY_REQUIRED: HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    # Load balancer
    Rule.LB_ID_MALFORMED: Elb("ELB.1020"),
    Rule.LB_FIELD_MISSING: Elb("ELB.1001", "create load balancer", 0),
    Rule.LB_FIELD_INVALID: Elb("ELB.1001", "create load balancer", 1),
    Rule.LB_NAME_INVALID: Elb("ELB.1021"),
    Rule.LB_DESCRIPTION_INVALID: Elb("ELB.1031"),
    Rule.LB_TYPE_INVALID: Elb("ELB.1041"),
    Rule.LB_BANDWIDTH_INVALID: Elb("ELB.1051"),
    Rule.LB_SUBNET_AND_VIP_MISSING: Elb("ELB.1061"),
    Rule.LB_VIP_INVALID: Elb("ELB.1071"),
    Rule.LB_VIP_TAKEN: Elb("ELB.1101"),
    Rule.LB_VPC_MISSING: Elb("ELB.1081"),
    Rule.LB_QUOTA: Elb("ELB.1091"),
    Rule.LB_UPDATE_FIELD_INVALID: Elb("ELB.1005"),
    Rule.LB_UPDATE_FORBIDDEN: Elb("ELB.1015"),
    Rule.LB_UPDATE_NAME_TOO_LONG: Elb("ELB.1025"),
    Rule.LB_UPDATE_NAME_INVALID: Elb("ELB.1035"),
    Rule.LB_UPDATE_DESCRIPTION_INVALID: Elb("ELB.1045"),
    Rule.LB_UNKNOWN: Elb("ELB.1003"),
    Rule.LB_DELETE_UNKNOWN: Elb("ELB.1002"),
    Rule.LB_HAS_MEMBERS: Elb("ELB.1018"),
    Rule.LB_BEING_DELETED: HTTPStatus.CONFLICT,
    Rule.LB_QUERY_INVALID: Elb("ELB.1004"),
    Rule.VPC_UNKNOWN: Elb("ELB.8103"),
    Rule.SUBNET_UNKNOWN: Elb("ELB.8203"),
    Rule.ELASTIC_IP_UNKNOWN: Elb("ELB.4003"),
    # Listener
    Rule.LISTENER_ID_LENGTH: Elb("ELB.6000"),
    Rule.LISTENER_ID_CONTENT: Elb("ELB.6010", "listener, any operation"),
    Rule.LISTENER_UNKNOWN: Elb("ELB.6010", "show, update listener"),
    Rule.LISTENER_DELETE_UNKNOWN: Elb("ELB.6002"),
    Rule.LISTENER_LB_UNKNOWN: Elb("ELB.6040"),
    Rule.LISTENER_FIELD_MISSING: Elb("ELB.6001"),
    Rule.LISTENER_NAME_TOO_LONG: Elb("ELB.6011"),
    Rule.LISTENER_NAME_INVALID: Elb("ELB.6021"),
    Rule.LISTENER_DESCRIPTION_INVALID: Elb("ELB.6031"),
    Rule.LISTENER_PORT_INVALID: Elb("ELB.6041"),
    Rule.LISTENER_ALGORITHM_INVALID: Elb("ELB.6051"),
    Rule.LISTENER_PROTOCOL_INVALID: Elb("ELB.6061"),
    Rule.LISTENER_BACKEND_PROTOCOL_INVALID: Elb("ELB.6071"),
    Rule.LISTENER_STICKINESS_INVALID: Elb("ELB.6081"),
    Rule.LISTENER_FIELD_INVALID: HTTPStatus.BAD_REQUEST,
    Rule.LISTENER_QUOTA: Elb("ELB.6091"),
    Rule.LISTENER_PORT_REPEATED: Elb("ELB.6101"),
    Rule.LISTENER_UPDATE_FORBIDDEN: Elb("ELB.6015"),
    Rule.LISTENER_UPDATE_NAME_TOO_LONG: Elb("ELB.6025"),
    Rule.LISTENER_UPDATE_NAME_INVALID: Elb("ELB.6035"),
    Rule.LISTENER_UPDATE_DESCRIPTION_INVALID: Elb("ELB.6045"),
    Rule.LISTENER_QUERY_INVALID: Elb("ELB.6003"),
    # Member
    Rule.MEMBER_LISTENER_ID_LENGTH: Elb("ELB.2010"),
    Rule.MEMBER_LISTENER_ID_CONTENT: Elb("ELB.2020"),
    Rule.MEMBER_LISTENER_UNKNOWN: Elb("ELB.2011"),
    Rule.MEMBER_ADDRESS_INVALID: Elb("ELB.2021"),
    Rule.MEMBER_FIELD_INVALID: HTTPStatus.BAD_REQUEST,
    Rule.MEMBER_QUERY_INVALID: HTTPStatus.BAD_REQUEST,
    Rule.MEMBER_QUOTA: Elb("ELB.2001"),
    Rule.MEMBER_REMOVAL_INVALID: Elb("ELB.2002"),
    Rule.MEMBER_UNKNOWN: Elb("ELB.2012"),
    # Health check
    Rule.HEALTH_CHECK_LISTENER_MISSING: Elb("ELB.7000"),
    Rule.HEALTH_CHECK_LISTENER_UNKNOWN: Elb("ELB.7010"),
    Rule.HEALTH_CHECK_UNKNOWN: Elb("ELB.7020"),
    Rule.HEALTH_CHECK_INVALID: Elb("ELB.7001", "create health check"),
    Rule.HEALTH_CHECK_UPDATE_INVALID: Elb("ELB.7001", "update health check"),
    Rule.HEALTH_CHECK_ID_MALFORMED_ON_DELETE: Elb("ELB.7002"),
    Rule.HEALTH_CHECK_ID_MALFORMED: Elb("ELB.7004"),
    Rule.HEALTH_CHECK_EXISTS: HTTPStatus.CONFLICT,
    # Certificate
    Rule.CERTIFICATE_FIELD_MISSING: Elb("ELB.1001", "create load balancer", 0, quoted=True),
    Rule.CERTIFICATE_INVALID: HTTPStatus.BAD_REQUEST,
    Rule.CERTIFICATE_UNKNOWN: HTTPStatus.NOT_FOUND,
    Rule.CERTIFICATE_IN_USE: HTTPStatus.CONFLICT,
    Rule.CERTIFICATE_CHANGED: HTTPStatus.CONFLICT,
    Rule.CERTIFICATE_QUERY_INVALID: HTTPStatus.BAD_REQUEST,
    # Elastic IP
    Rule.ELASTIC_IP_INVALID: HTTPStatus.BAD_REQUEST,
    Rule.ELASTIC_IP_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Rule.ELASTIC_IP_IN_USE: HTTPStatus.CONFLICT,
    Rule.ELASTIC_IP_POOL_EXHAUSTED: Elb("ELB.4001", status=HTTPStatus.CONFLICT),
    # Networks
    Rule.NETWORK_QUERY_INVALID: HTTPStatus.BAD_REQUEST,
    Rule.VPC_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Rule.SUBNET_NOT_FOUND: HTTPStatus.NOT_FOUND,
    # Job
    Rule.JOB_UNKNOWN: HTTPStatus.NOT_FOUND,
    Rule.JOB_QUERY_INVALID: HTTPStatus.BAD_REQUEST,
    Rule.JOB_NOT_CANCELLABLE: HTTPStatus.CONFLICT,
    Rule.IDEMPOTENCY_KEY_INVALID: HTTPStatus.BAD_REQUEST,
    Rule.IDEMPOTENCY_KEY_REUSED: HTTPStatus.CONFLICT,
    # Webhook
    Rule.WEBHOOK_INVALID: HTTPStatus.BAD_REQUEST,
    Rule.WEBHOOK_UNKNOWN: HTTPStatus.NOT_FOUND,
    # Data plane
    Rule.DATA_PLANE_BIND: Elb("ELB.9007"),
}
"""Each rule of a request."""

OF_JOBS: Final[Mapping[FailureReason | WarningReason, Elb]] = {
    FailureReason.CANNOT_LISTEN: Elb("ELB.9007"),
    FailureReason.REJECTED: Elb("ELB.9006"),
    FailureReason.NOT_CONFIRMED: Elb("ELB.9006"),
    FailureReason.CANCELLED: Elb("ELB.9006"),
    FailureReason.SUB_JOBS_FAILED: Elb("ELB.9006"),
    FailureReason.NO_ELASTIC_IP_LEFT: Elb("ELB.4001"),
    FailureReason.NO_ADDRESS_LEFT: Elb("ELB.3001"),
    WarningReason.BANDWIDTH_NOT_ENFORCED: Elb("ELB.5005"),
    WarningReason.CONNECTIONS_NOT_CUT: Elb("ELB.9006"),
}
"""`error_code` and the codes of warnings in the record of a job."""

_OF_LOAD_BALANCER = {"deleteLoadBalancer": Rule.LB_DELETE_UNKNOWN, "deleteLoadBalancerKeepEip": Rule.LB_DELETE_UNKNOWN}
_OF_LISTENER = {
    "": Rule.LISTENER_UNKNOWN,
    "deleteListener": Rule.LISTENER_DELETE_UNKNOWN,
    "createMembers": Rule.MEMBER_LISTENER_UNKNOWN,
    "createHealthCheck": Rule.HEALTH_CHECK_LISTENER_UNKNOWN,
}
_OF_CERTIFICATE = {
    "": Rule.CERTIFICATE_UNKNOWN,
    "createListener": Rule.LISTENER_FIELD_INVALID,
    "updateListener": Rule.LISTENER_FIELD_INVALID,
}

ByOperation = Rule | Mapping[str, Rule]
"""The rule, or the rules by operation; "" stands for every other operation."""

TRANSLATIONS: Final[Mapping[type[Exception], ByOperation]] = {
    # Of HTTP
    UrlTooLong: Rule.URL_TOO_LONG,
    RequestTooSlow: Rule.REQUEST_TOO_SLOW,
    BodyMissing: Rule.BODY_MISSING,
    Malformed: Rule.BODY_MALFORMED,
    BodyTooLarge: Rule.BODY_TOO_LARGE,
    PathUnknown: Rule.PATH_UNKNOWN,
    MethodNotAllowed: Rule.METHOD_NOT_ALLOWED,
    NotAcceptable: Rule.NOT_ACCEPTABLE,
    NotOffered: Rule.UNSUPPORTED,
    GatewayRequired: Rule.GATEWAY_REQUIRED,
    NotServing: Rule.UNAVAILABLE,
    Defect: Rule.DEFECT,
    # What was sent
    MalformedDocument: Rule.BODY_MALFORMED,
    Unsupported: Rule.UNSUPPORTED,
    KeyInvalid: Rule.IDEMPOTENCY_KEY_INVALID,
    # Who asks
    TokenMissing: Rule.TOKEN_MISSING,
    TokenMalformed: Rule.TOKEN_MALFORMED,
    TokenExpired: Rule.TOKEN_EXPIRED,
    TokenRevoked: Rule.TOKEN_REVOKED,
    CredentialsWrong: Rule.CREDENTIALS_WRONG,
    ProjectForbidden: Rule.PROJECT_FORBIDDEN,
    RoleTooWeak: Rule.ROLE_TOO_WEAK,
    # What is stored
    BeingDeleted: Rule.LB_BEING_DELETED,
    Frozen: Rule.LB_UPDATE_FORBIDDEN,
    NotApplicable: Rule.LB_UPDATE_FORBIDDEN,
    AlreadyExists: Rule.HEALTH_CHECK_EXISTS,
    AddressTaken: {"": Rule.LB_VIP_TAKEN, "createElasticIp": Rule.ELASTIC_IP_IN_USE},
    PortTaken: Rule.LISTENER_PORT_REPEATED,
    ChangedMeanwhile: Rule.CERTIFICATE_CHANGED,
    NotCancellable: Rule.JOB_NOT_CANCELLABLE,
    KeyReused: Rule.IDEMPOTENCY_KEY_REUSED,
    PoolExhausted: Rule.ELASTIC_IP_POOL_EXHAUSTED,
    # The data plane, and other services. One code for every rejection here, whatever the job says (classic-api.md,
    # Synchronous operations).
    Rejected: Rule.DATA_PLANE_BIND,
    Unavailable: Rule.UNAVAILABLE,
    NotKnown: Rule.UPSTREAM_TIMEOUT,
    Overloaded: Rule.OVERLOADED,
    IdentityUnavailable: Rule.IDENTITY_UNAVAILABLE,
    UpstreamTimeout: Rule.UPSTREAM_TIMEOUT,
    UpstreamInvalid: Rule.UPSTREAM_INVALID,
}
"""The errors that a request can end with, apart from those that the rules of this API raise themselves."""

BY_KIND: Final[Mapping[type[Exception], Mapping[ResourceKind, ByOperation]]] = {
    InvalidField: {
        ResourceKind.LOAD_BALANCER: Rule.LB_VIP_INVALID,
        ResourceKind.ELASTIC_IP: Rule.ELASTIC_IP_INVALID,
        ResourceKind.CERTIFICATE: Rule.CERTIFICATE_INVALID,
        ResourceKind.WEBHOOK: Rule.WEBHOOK_INVALID,
    },
    NotFound: {
        ResourceKind.LOAD_BALANCER: {"": Rule.LB_UNKNOWN, "createListener": Rule.LISTENER_LB_UNKNOWN}
        | _OF_LOAD_BALANCER,
        ResourceKind.LISTENER: _OF_LISTENER,
        ResourceKind.POOL: _OF_LISTENER,
        ResourceKind.MEMBER: Rule.MEMBER_UNKNOWN,
        ResourceKind.HEALTH_MONITOR: Rule.HEALTH_CHECK_UNKNOWN,
        ResourceKind.CERTIFICATE: _OF_CERTIFICATE,
        ResourceKind.ELASTIC_IP: {"": Rule.ELASTIC_IP_NOT_FOUND, "createLoadBalancer": Rule.ELASTIC_IP_UNKNOWN},
        ResourceKind.VPC: {"": Rule.VPC_UNKNOWN, "showVpc": Rule.VPC_NOT_FOUND},
        ResourceKind.SUBNET: {"": Rule.SUBNET_UNKNOWN, "showSubnet": Rule.SUBNET_NOT_FOUND},
        ResourceKind.PROJECT: Rule.PROJECT_UNKNOWN,
        ResourceKind.IDENTITY: Rule.IDENTITY_UNKNOWN,
        ResourceKind.JOB: Rule.JOB_UNKNOWN,
        ResourceKind.WEBHOOK: Rule.WEBHOOK_UNKNOWN,
    },
    InUse: {
        ResourceKind.LOAD_BALANCER: Rule.LB_HAS_MEMBERS,
        ResourceKind.CERTIFICATE: Rule.CERTIFICATE_IN_USE,
        ResourceKind.ELASTIC_IP: Rule.ELASTIC_IP_IN_USE,
    },
    QuotaExceeded: {
        ResourceKind.LOAD_BALANCER: Rule.LB_QUOTA,
        ResourceKind.LISTENER: Rule.LISTENER_QUOTA,
        ResourceKind.MEMBER: Rule.MEMBER_QUOTA,
    },
}
"""And those that are told apart by the kind of the resource, too."""

_NO_PROJECT = re.compile(r"/v1(\.0)?//")
_MEMBERS = re.compile(r"/elbaas/listeners/[^/]*/members(/|$)")

_PLACE = re.compile(r"\.\.(\w+)\.\.")
_QUOTED = re.compile(r'"(.+)"')

# What a broken rule's parameters may replace, by header.
DEFAULT_IDENTITY_URI: Final = "/v3"
DEFAULT_PROXY_CHALLENGE: Final = 'Basic realm="gateway"'


def entry_of(elb: Elb) -> Entry:
    """The entry that is pointed at. Raises LookupError when there is none, or more than one to choose from."""
    found = [entry for entry in ENTRIES if entry.code == elb.code and elb.operation in ("", entry.operation)]
    if not elb.operation and len(found) > 1:
        raise LookupError(f"{elb.code} stands {len(found)} times in errors.json: name the operation.")
    return found[elb.occurrence]


def code_of(reason: FailureReason | WarningReason) -> str:
    """The code of what befell a job."""
    return OF_JOBS[reason].code


def render(error: Exception, circumstances: Circumstances) -> ErrorAnswer | None:
    """The answer to an error (`equipoise.http.errors.Renderer`)."""
    broken = translated(error, circumstances.operation)
    if broken is None:
        return None
    if circumstances.root:
        broken.parameters.setdefault("identity_uri", f"{circumstances.root}/v3")
    return ErrorAnswer(*render_error(broken, circumstances.request_id))


def translated(error: Exception, operation: str) -> RuleBroken | None:
    """The error as one of this API, None if it is a defect. `operation` is the name of an `Operation`."""
    match error:
        case RuleBroken():
            return error
        case PathUnknown(path=path):
            return _unknown_path(error, path)
        case MethodNotAllowed(allow=allow):
            return RuleBroken(Rule.METHOD_NOT_ALLOWED, error.message, allow=allow)
        case NotServing(retry_after=seconds):
            return RuleBroken(Rule.UNAVAILABLE, error.message, retry_after=seconds)
        case TokenMissing(challenge=str(challenge)):
            return RuleBroken(Rule.TOKEN_MISSING, error.message, challenge=challenge)
        case ServiceError() | RequestError():
            return RuleBroken(_rule_of(error, operation), _in_our_words(error, operation))
    return None


def _rule_of(error: ServiceError | RequestError, operation: str) -> Rule:
    match error:
        case InvalidField(kind=kind) | NotFound(kind=kind) | InUse(kind=kind) | QuotaExceeded(kind=kind):
            found = BY_KIND[type(error)][kind]
        case _:
            found = TRANSLATIONS[type(error)]
    return found if isinstance(found, Rule) else found.get(operation, found[""])


def _in_our_words(error: ServiceError | RequestError, operation: str) -> str:
    """The sentence of the error. Here a listener has what is a pool's, and a health monitor is a health check."""
    match error:
        case NotFound(kind=ResourceKind.POOL, id=id):
            return NotFound(ResourceKind.LISTENER, id).message
        case NotFound(kind=ResourceKind.HEALTH_MONITOR, id=id):
            return f"There is no health check {id} in this project."
        case NotFound(kind=ResourceKind.MEMBER, id=id, of=ResourceRef(id=of)):
            return f"There is no member {id} under listener {of}; nothing was removed."
        case AlreadyExists(id=id, of=ResourceRef(id=of)):
            return f"Listener {of} has health check {id} already; update that one or delete it first."
        case QuotaExceeded(kind=ResourceKind.MEMBER, limit=limit):
            return f"A listener may have {limit} members; remove some or use another listener."
        case InvalidField(kind=ResourceKind.ELASTIC_IP, problem=problem):
            return f"publicip.ip_address: {problem}"
        case AddressTaken(problem=problem) if operation == "createElasticIp":
            return f"publicip.ip_address: {problem}"
    return error.message


def _unknown_path(error: PathUnknown, path: str) -> RuleBroken:
    """Each area has a code of its own (errors.json)."""
    if _NO_PROJECT.match(path):
        return RuleBroken(
            Rule.PROJECT_ID_EMPTY,
            "The project id in the path is empty; give the id of your project after the version.",
        )
    if _MEMBERS.search(path):
        return RuleBroken(Rule.MEMBER_PATH_UNKNOWN, error.message)
    if "/elbaas/listeners" in path:
        return RuleBroken(Rule.LISTENER_PATH_UNKNOWN, error.message)
    if "/elbaas/loadbalancers" in path:
        return RuleBroken(Rule.LOAD_BALANCER_PATH_UNKNOWN, error.message)
    return RuleBroken(Rule.PATH_UNKNOWN, error.message)


def render_error(broken: RuleBroken, request_id: str) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Status, body and headers of the answer (return-values.md, Error body), without the X-Request-Id header.

    `detail`, the sentence for people, is an addition to the published body. Parameters of the broken rule fill the
    places of its text (`..nilKey..`) and of its headers: `allow`, `retry_after` (seconds), `identity_uri`, `challenge`.
    """
    known = _TRANSLATIONS[broken.rule]
    message = broken.detail if known.message is None else _filled(known.message, broken.parameters)
    body = msgspec.json.encode(
        {
            "error": {"message": message, "code": known.code},
            "message": message,
            "code": known.code,
            "request_id": request_id,
            "detail": broken.detail,
        }
    )
    headers = [(b"content-type", JSON_TYPE), (b"content-length", b"%d" % len(body))]
    headers.extend(_headers_of_status(known.status, broken.parameters))
    return known.status, body, headers


def _filled(message: str, parameters: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda place: parameters[place[1]], message)


def _headers_of_status(status: int, parameters: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            uri = parameters.get("identity_uri", DEFAULT_IDENTITY_URI)
            challenge = parameters.get("challenge", f'Keystone uri="{uri}"')
            return [(b"www-authenticate", challenge.encode("latin-1"))]
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return [(b"allow", parameters.get("allow", "").encode("latin-1"))]
        case HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            return [(b"proxy-authenticate", parameters.get("challenge", DEFAULT_PROXY_CHALLENGE).encode("latin-1"))]
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return [(b"retry-after", parameters.get("retry_after", DEFAULT_RETRY_AFTER_SECONDS).encode("latin-1"))]
        case _:
            return []


def _translate(source: Elb | HTTPStatus) -> Translation:
    if isinstance(source, HTTPStatus):
        return Translation(source.value, source.phrase, None)
    entry = entry_of(source)
    status = entry.status if source.status is None else source.status
    if status is None:
        raise LookupError(f"{source.code} has no status in errors.json: give one.")
    return Translation(int(status), entry.code, _quoted(entry) if source.quoted else entry.message)


def _quoted(entry: Entry) -> str:
    found = _QUOTED.search(entry.when or "")
    if found is None:
        raise LookupError(f"{entry.code} quotes no message in its condition.")
    return found[1]


_TRANSLATIONS: Final[Mapping[Rule, Translation]] = {rule: _translate(source) for rule, source in SOURCES.items()}
