"""The rules of a webhook: from a JSON value to a command. Where it may lead is the operator's to say."""

import base64
import binascii
import re
from typing import Final
from urllib.parse import urlsplit

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import fields
from equipoise.api.classic.rules.certificate import MASKED_KEY
from equipoise.core.commands import PutWebhookCommand
from equipoise.quoting import shown
from equipoise.webhooks.signing import SECRET_PREFIX

URL_LENGTH: Final = 1024
KEY_BYTES: Final = range(24, 65)

URL_PATTERN: Final = r"[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?([/?][!\x22$-~]*)?"
"""Every URL that is taken matches it; not everything that matches is taken."""

_PRINTABLE: Final = re.compile(r"[!-~]+")


def put_webhook(body: object) -> PutWebhookCommand:
    """What to set. Raises WEBHOOK_INVALID."""
    given = fields.json_object(body)
    url = _url(given.get("url"))
    secret = given.get("secret")
    if secret == MASKED_KEY:
        return PutWebhookCommand(url, None, keeps_secret=True)
    return PutWebhookCommand(url, None if fields.is_blank(secret) else _secret(secret), keeps_secret=False)


def _url(value: object) -> str:
    if fields.is_blank(value):
        raise _invalid("url is mandatory; it is missing or empty.")
    # Not quoted: it may hold a password.
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value):
        raise _invalid("url must be a text of visible ASCII characters; encode others.")
    if len(value) > URL_LENGTH:
        raise _invalid(f"url has {len(value)} characters; at most {URL_LENGTH} are allowed.")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _invalid("url has no valid host and port.") from None
    if parts.scheme not in ("http", "https"):
        raise _invalid(f"url must begin with http:// or https://, but its scheme is {shown(parts.scheme)}.")
    if not host or port == 0:
        raise _invalid("url has no valid host and port.")
    if "@" in parts.netloc or "#" in value:
        raise _invalid("url may hold neither a user name nor a fragment (#); the signature tells who sends.")
    if not re.fullmatch(URL_PATTERN, value):
        raise _invalid("url has no valid host and port.")
    return value


def _secret(value: object) -> str:
    # Not quoted: it is a secret.
    wrong = _invalid(
        f"secret must be {SECRET_PREFIX} and the Base64 of {KEY_BYTES[0]} to {KEY_BYTES[-1]} bytes; "
        "leave it out to have one made."
    )
    if not isinstance(value, str) or not value.startswith(SECRET_PREFIX):
        raise wrong
    try:
        key = base64.b64decode(value.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if len(key) not in KEY_BYTES:
        raise wrong
    return value


def _invalid(sentence: str) -> RuleBroken:
    return RuleBroken(Rule.WEBHOOK_INVALID, sentence)
