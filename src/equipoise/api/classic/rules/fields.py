"""What every field has in common: how a value is read from decoded JSON, and how a sentence about it is put.

The rules of one resource are in the module named after it. Source: classic-api.md. Common choices:

- null counts as "not given": answers carry null for what does not apply, and clients send whole objects back.
- An integer may come as a string of digits, and a boolean as the string true or false in any case: the published API
  took both, and clients that fill in templates send strings. A boolean or a number with a fraction is no integer.
- A parameter of a query without a value is not given, as null in a body: clients send all that they know.
- Text never holds control characters (NUL among them) or lone surrogates: no rule of the contract allows them,
  and neither UTF-8 nor a database can be trusted with them.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.quoting import is_plain, shown

JsonObject = Mapping[str, object]

# "Chinese" means the CJK unified ideographs: the basic block, extension A, and extensions B to I (planes 2 and 3).
_NAME = re.compile(r"[A-Za-z0-9_\-\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002ee5f\U00030000-\U000323af]*")
_DIGITS = re.compile(r"[0-9]{1,9}")
_TRUTHS: Mapping[str, bool] = {"true": True, "false": False}

NAME_LENGTH = 64
DESCRIPTION_LENGTH = 128
PORTS = range(1, 65536)
CHARGE_MODES = ("bandwidth", "traffic")
DEFAULT_CHARGE_MODE = "bandwidth"


def json_object(body: object, *, otherwise: Rule = Rule.BODY_MALFORMED) -> JsonObject:
    """The body as an object. Raises BODY_MISSING for null, and the rule `otherwise` for anything else."""
    if body is None:
        raise RuleBroken(Rule.BODY_MISSING, "The body is null; send a JSON object.")
    if not isinstance(body, dict):
        raise RuleBroken(otherwise, f"The body must be a JSON object, but it is {shown(body)}.")
    return body


def is_blank(value: object) -> bool:
    """Whether a field is missing, null or the empty string."""
    return value is None or value == ""


def integer(value: object) -> int | None:
    """An integer, also when it comes as a string of 1-9 digits; None for anything else, booleans among it."""
    if isinstance(value, str):
        return int(value) if _DIGITS.fullmatch(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def integer_in(value: object, allowed: range, field: str, rule: Rule) -> int:
    """An integer of the range, else the rule is raised."""
    number = integer(value)
    if number is None or number not in allowed:
        raise RuleBroken(
            rule, f"{field} must be an integer from {allowed[0]} to {allowed[-1]}, but it is {shown(value)}."
        )
    return number


def truth(value: object) -> bool | None:
    """A boolean, also when it comes as a string, in any case; None for anything else, 0 and 1 among it."""
    if isinstance(value, str):
        return _TRUTHS.get(value.lower())
    return value if isinstance(value, bool) else None


def boolean(value: object, field: str, rule: Rule) -> bool:
    """A boolean as `truth` takes it, else the rule is raised."""
    found = truth(value)
    if found is None:
        raise RuleBroken(rule, f"{field} must be true or false, but it is {shown(value)}.")
    return found


def one_of(value: object, allowed: Collection[str], field: str, rule: Rule) -> str:
    """One of the allowed texts, letter for letter, else the rule is raised."""
    if not isinstance(value, str) or value not in allowed:
        raise RuleBroken(rule, f"{field} must be one of {', '.join(allowed)}, but it is {shown(value)}.")
    return value


def ipv4(value: object) -> str | None:
    """An IPv4 address in dotted form, or None when the value is anything else."""
    if not isinstance(value, str):
        return None
    try:
        return str(IPv4Address(value))
    except AddressValueError:
        return None


def charge_mode(value: object, wrong_type: Rule, field: str = "charge_mode") -> str:
    """How an elastic IP is paid for: bandwidth, traffic, or anything else for bandwidth; prepaid is not offered."""
    if is_blank(value):
        return DEFAULT_CHARGE_MODE
    if not isinstance(value, str):
        raise RuleBroken(wrong_type, f"{field} must be a string, but it is {shown(value)}.")
    if value.lower() == "prepaid":
        raise RuleBroken(Rule.UNSUPPORTED, f"{field} prepaid is not offered here; use bandwidth or traffic.")
    return value if value in CHARGE_MODES else DEFAULT_CHARGE_MODE


@dataclass(frozen=True, slots=True)
class NameRules:
    """Which rule a name breaks: each resource and operation has its own codes."""

    wrong_type: Rule
    empty: Rule
    too_long: Rule
    bad_character: Rule


def name(value: object, rules: NameRules) -> str:
    """A name: 1-64 characters of Chinese, letters, digits, `_` and `-`."""
    if not isinstance(value, str):
        raise RuleBroken(rules.wrong_type, f"name must be a string, but it is {shown(value)}.")
    if not value:
        raise RuleBroken(rules.empty, f"name is empty; give 1 to {NAME_LENGTH} characters.")
    if len(value) > NAME_LENGTH:
        raise RuleBroken(rules.too_long, f"name has {len(value)} characters; at most {NAME_LENGTH} are allowed.")
    if not _NAME.fullmatch(value):
        raise RuleBroken(
            rules.bad_character,
            f"name may hold Chinese characters, letters, digits, _ and -, but it is {shown(value)}.",
        )
    return value


def description(value: object, *, wrong_type: Rule, invalid: Rule) -> str:
    """A description: 0-128 characters without `<` and `>`; not given means empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RuleBroken(wrong_type, f"description must be a string, but it is {shown(value)}.")
    if len(value) > DESCRIPTION_LENGTH:
        raise RuleBroken(invalid, f"description has {len(value)} characters; at most {DESCRIPTION_LENGTH} are allowed.")
    if "<" in value or ">" in value or not is_plain(value):
        raise RuleBroken(invalid, f"description may not hold <, > or control characters, but it is {shown(value)}.")
    return value
