"""What can be wrong with a request to the classic API, by name. Status, code and text of each are in `errors`.

Its codes differ by operation and field where the model knows one error only, so that it has names of its own. Its rules
raise them; what the rest of the service raises is translated into them by the table in `errors`.
"""

from enum import Enum, auto


class Rule(Enum):
    """A named rule. Each has exactly one translation into a status, a code and a message."""

    # Any request
    BODY_MISSING = auto()
    BODY_MALFORMED = auto()
    PROJECT_ID_EMPTY = auto()
    URL_TOO_LONG = auto()
    PATH_UNKNOWN = auto()
    LOAD_BALANCER_PATH_UNKNOWN = auto()
    LISTENER_PATH_UNKNOWN = auto()
    MEMBER_PATH_UNKNOWN = auto()
    METHOD_NOT_ALLOWED = auto()
    NOT_ACCEPTABLE = auto()
    REQUEST_TOO_SLOW = auto()
    BODY_TOO_LARGE = auto()
    UNSUPPORTED = auto()
    UNAVAILABLE = auto()
    OVERLOADED = auto()
    UPSTREAM_TIMEOUT = auto()
    UPSTREAM_INVALID = auto()
    DEFECT = auto()

    # Identity
    TOKEN_MISSING = auto()
    TOKEN_MALFORMED = auto()
    TOKEN_EXPIRED = auto()
    TOKEN_REVOKED = auto()
    CREDENTIALS_WRONG = auto()
    IDENTITY_UNAVAILABLE = auto()
    PROJECT_FORBIDDEN = auto()
    PROJECT_UNKNOWN = auto()
    IDENTITY_UNKNOWN = auto()
    ROLE_TOO_WEAK = auto()
    GATEWAY_REQUIRED = auto()

    # Load balancer
    LB_ID_MALFORMED = auto()
    LB_FIELD_MISSING = auto()
    LB_FIELD_INVALID = auto()
    LB_NAME_INVALID = auto()
    LB_DESCRIPTION_INVALID = auto()
    LB_TYPE_INVALID = auto()
    LB_BANDWIDTH_INVALID = auto()
    LB_SUBNET_AND_VIP_MISSING = auto()
    LB_VIP_INVALID = auto()
    LB_VIP_TAKEN = auto()
    LB_VPC_MISSING = auto()
    LB_QUOTA = auto()
    LB_UPDATE_FIELD_INVALID = auto()
    LB_UPDATE_FORBIDDEN = auto()
    LB_UPDATE_NAME_TOO_LONG = auto()
    LB_UPDATE_NAME_INVALID = auto()
    LB_UPDATE_DESCRIPTION_INVALID = auto()
    LB_UNKNOWN = auto()
    LB_DELETE_UNKNOWN = auto()
    LB_HAS_MEMBERS = auto()
    LB_BEING_DELETED = auto()
    LB_QUERY_INVALID = auto()
    VPC_UNKNOWN = auto()
    SUBNET_UNKNOWN = auto()
    ELASTIC_IP_UNKNOWN = auto()

    # Listener
    LISTENER_ID_LENGTH = auto()
    LISTENER_ID_CONTENT = auto()
    LISTENER_UNKNOWN = auto()
    LISTENER_DELETE_UNKNOWN = auto()
    LISTENER_LB_UNKNOWN = auto()
    LISTENER_FIELD_MISSING = auto()
    LISTENER_NAME_TOO_LONG = auto()
    LISTENER_NAME_INVALID = auto()
    LISTENER_DESCRIPTION_INVALID = auto()
    LISTENER_PORT_INVALID = auto()
    LISTENER_ALGORITHM_INVALID = auto()
    LISTENER_PROTOCOL_INVALID = auto()
    LISTENER_BACKEND_PROTOCOL_INVALID = auto()
    LISTENER_STICKINESS_INVALID = auto()
    LISTENER_FIELD_INVALID = auto()
    LISTENER_QUOTA = auto()
    LISTENER_PORT_REPEATED = auto()
    LISTENER_UPDATE_FORBIDDEN = auto()
    LISTENER_UPDATE_NAME_TOO_LONG = auto()
    LISTENER_UPDATE_NAME_INVALID = auto()
    LISTENER_UPDATE_DESCRIPTION_INVALID = auto()
    LISTENER_QUERY_INVALID = auto()

    # Member
    MEMBER_LISTENER_ID_LENGTH = auto()
    MEMBER_LISTENER_ID_CONTENT = auto()
    MEMBER_LISTENER_UNKNOWN = auto()
    MEMBER_ADDRESS_INVALID = auto()
    MEMBER_FIELD_INVALID = auto()
    MEMBER_QUERY_INVALID = auto()
    MEMBER_QUOTA = auto()
    MEMBER_REMOVAL_INVALID = auto()
    MEMBER_UNKNOWN = auto()

    # Health check
    HEALTH_CHECK_LISTENER_MISSING = auto()
    HEALTH_CHECK_LISTENER_UNKNOWN = auto()
    HEALTH_CHECK_UNKNOWN = auto()
    HEALTH_CHECK_INVALID = auto()
    HEALTH_CHECK_UPDATE_INVALID = auto()
    HEALTH_CHECK_ID_MALFORMED_ON_DELETE = auto()
    HEALTH_CHECK_ID_MALFORMED = auto()
    HEALTH_CHECK_EXISTS = auto()

    # Certificate
    CERTIFICATE_FIELD_MISSING = auto()
    CERTIFICATE_INVALID = auto()
    CERTIFICATE_UNKNOWN = auto()
    CERTIFICATE_IN_USE = auto()
    CERTIFICATE_CHANGED = auto()
    CERTIFICATE_QUERY_INVALID = auto()

    # Elastic IP
    ELASTIC_IP_INVALID = auto()
    ELASTIC_IP_NOT_FOUND = auto()
    ELASTIC_IP_IN_USE = auto()
    ELASTIC_IP_POOL_EXHAUSTED = auto()

    # Networks
    NETWORK_QUERY_INVALID = auto()
    VPC_NOT_FOUND = auto()
    SUBNET_NOT_FOUND = auto()

    # Job
    JOB_UNKNOWN = auto()
    JOB_QUERY_INVALID = auto()
    JOB_NOT_CANCELLABLE = auto()
    IDEMPOTENCY_KEY_INVALID = auto()
    IDEMPOTENCY_KEY_REUSED = auto()

    # Webhook
    WEBHOOK_INVALID = auto()
    WEBHOOK_UNKNOWN = auto()

    # Data plane
    DATA_PLANE_BIND = auto()


class RuleBroken(Exception):
    """A request breaks a rule.

    Args:
        rule: which one.
        detail: one sentence for people: the field, what it must be, what to do next.
        parameters: values that the wire text of the rule has a place for (for example the name of a missing field).
    """

    def __init__(self, rule: Rule, detail: str, **parameters: str) -> None:
        super().__init__(f"{rule.name}: {detail}")
        self.rule = rule
        self.detail = detail
        self.parameters = parameters
