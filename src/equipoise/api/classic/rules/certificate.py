"""The rules of a certificate (classic-api.md, Certificate): from a JSON value to a command.

What the PEM texts hold is checked in `equipoise.certificates.pair`, and after all fields: both must be there for it.
"""

import re

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import fields
from equipoise.api.classic.rules.fields import JsonObject, is_blank
from equipoise.core.commands import Column, CreateCertificateCommand, UpdateCertificateCommand
from equipoise.quoting import is_plain, shown

NAME_LENGTH = 64
DOMAIN_LENGTH = 254

MASKED_KEY = "******"
"""What answers show in place of a private key. Clients send whole objects back: in an update it says "as it is"."""

_DOMAIN = re.compile(r"[A-Za-z0-9.-]*")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def create_certificate(body: object) -> CreateCertificateCommand:
    """What to create. Raises CERTIFICATE_FIELD_MISSING or CERTIFICATE_INVALID."""
    given = fields.json_object(body)
    for field in ("certificate", "private_key"):
        if is_blank(given.get(field)):
            raise _missing(field)
    certificate, private_key = _pem(given, "certificate"), _pem(given, "private_key")
    return CreateCertificateCommand(
        certificate=certificate,
        private_key=private_key,
        name=_name(given.get("name")),
        description=_description(given.get("description")),
        domain=_domain(given.get("domain")),
    )


def update_certificate(body: object) -> UpdateCertificateCommand:
    """What to change: whatever is given. Raises CERTIFICATE_FIELD_MISSING for an empty text, or CERTIFICATE_INVALID."""
    given = fields.json_object(body)
    certificate = _new_pem(given, "certificate")
    private_key = None if given.get("private_key") == MASKED_KEY else _new_pem(given, "private_key")
    readers = {"name": _name, "description": _description, "domain": _domain}
    changes: dict[str, Column] = {
        field: read(given[field]) for field, read in readers.items() if given.get(field) is not None
    }
    return UpdateCertificateCommand(certificate, private_key, changes)


def _missing(field: str) -> RuleBroken:
    return RuleBroken(Rule.CERTIFICATE_FIELD_MISSING, f"{field} is mandatory; it is missing or empty.")


def _pem(given: JsonObject, field: str) -> str:
    value = given[field]
    if not isinstance(value, str):
        raise _invalid(f"{field} must be a string in PEM, but it is of another type.")
    # Nothing of the value is quoted: it may be a key, in either field.
    if "\0" in value:
        raise _invalid(f"{field} holds NUL characters; save it as UTF-8 or ASCII, not as UTF-16.")
    if _SURROGATE.search(value):
        raise _invalid(f"{field} holds half a character (a lone surrogate); save it as UTF-8 or ASCII.")
    return value


def _new_pem(given: JsonObject, field: str) -> str | None:
    value = given.get(field)
    if value is None:
        return None
    if value == "":
        raise RuleBroken(Rule.CERTIFICATE_FIELD_MISSING, f"{field} is empty; leave it out to keep what is there.")
    return _pem(given, field)


def _name(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not is_plain(value):
        raise _invalid(f"name must be a text without control characters, but it is {shown(value)}.")
    if len(value) > NAME_LENGTH:
        raise _invalid(f"name has {len(value)} characters; at most {NAME_LENGTH} are allowed.")
    return value


def _description(value: object) -> str:
    return fields.description(value, wrong_type=Rule.CERTIFICATE_INVALID, invalid=Rule.CERTIFICATE_INVALID)


def _domain(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not _DOMAIN.fullmatch(value):
        raise _invalid(f"domain may hold letters, digits, - and ., but it is {shown(value)}.")
    if len(value) > DOMAIN_LENGTH:
        raise _invalid(f"domain has {len(value)} characters; at most {DOMAIN_LENGTH} are allowed.")
    return value


def _invalid(sentence: str) -> RuleBroken:
    return RuleBroken(Rule.CERTIFICATE_INVALID, sentence)
