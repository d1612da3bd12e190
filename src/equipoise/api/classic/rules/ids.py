"""The ids of a path: 32 lower-case hexadecimal characters (classic-api.md), and which rule a malformed one breaks."""

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.core.references import is_id
from equipoise.quoting import shown

ID_LENGTH = 32


def load_balancer_id(text: str) -> str:
    """The id of a load balancer. Raises LB_ID_MALFORMED."""
    return _checked(text, "load balancer", Rule.LB_ID_MALFORMED, Rule.LB_ID_MALFORMED)


def listener_id(text: str) -> str:
    """The id of a listener. Raises LISTENER_ID_LENGTH, or LISTENER_ID_CONTENT when only the characters are wrong."""
    return _checked(text, "listener", Rule.LISTENER_ID_LENGTH, Rule.LISTENER_ID_CONTENT)


def member_listener_id(text: str) -> str:
    """The id of the listener in a path of members, which has rules of its own."""
    return _checked(text, "listener", Rule.MEMBER_LISTENER_ID_LENGTH, Rule.MEMBER_LISTENER_ID_CONTENT)


def health_check_id(text: str, rule: Rule) -> str:
    """The id of a health check. Raises `rule`: deleting has a rule of its own."""
    return _checked(text, "health check", rule, rule)


def certificate_id(text: str) -> str:
    """The id of a certificate. Raises CERTIFICATE_UNKNOWN: one that cannot be an id names nothing."""
    return _checked(text, "certificate", Rule.CERTIFICATE_UNKNOWN, Rule.CERTIFICATE_UNKNOWN)


def _checked(text: str, resource: str, wrong_length: Rule, wrong_content: Rule) -> str:
    if len(text) != ID_LENGTH:
        raise RuleBroken(
            wrong_length,
            f"The id of a {resource} has {ID_LENGTH} characters, but {shown(text)} has {len(text)}.",
        )
    if not is_id(text):
        raise RuleBroken(
            wrong_content,
            f"The id of a {resource} consists of 0-9 and a-f, but {shown(text)} holds something else.",
        )
    return text
