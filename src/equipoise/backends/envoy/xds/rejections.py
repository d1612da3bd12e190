"""What Envoy's rejections (NACK texts) mean: which resources they are about, and the reason in words for a person.

Envoy applies a list of listeners or clusters one by one and names those it would not take; the others count. A
message that cannot be decoded or violates a rule rejects the whole list instead, without a reliable name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from equipoise.proxy.rejections import RejectionKind

_ONE_BY_ONE = re.compile(r"Error adding/updating (?:listener|cluster)\(s\) ")
_CANNOT_BIND = re.compile(r"cannot bind '(?P<address>[^']+)': (?P<cause>.+)", re.DOTALL)
_CUT_OFF = "...(truncated)"
"""Envoy shortens texts to 4 KiB; names behind that may have been rejected as well."""

_DUMP = "goo.gle/debugproto"
"""What follows this word is a dump of the message."""

PORT_IN_USE = "the port is in use already"

_CAUSES = {
    "Address already in use": (RejectionKind.ADDRESS_IN_USE, PORT_IN_USE),
    "Cannot assign requested address": (
        RejectionKind.ADDRESS_UNKNOWN,
        "the address is not on any interface of this node",
    ),
    "Permission denied": (
        RejectionKind.PERMISSION,
        "ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE, which Envoy does not have",
    ),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rejected` maps names to reasons; the rest of the push `applies`, unless that is uncertain or untrue."""

    rejected: dict[str, str] = field(default_factory=dict)
    rest_applies: bool = False


def verdict(error: str, names: Iterable[str]) -> Verdict:
    """Read a rejection of a push that held resources of these names."""
    if not _ONE_BY_ONE.match(error):
        return Verdict()
    found = sorted((start, name) for name in names if (start := _position(error, name)) is not None)
    starts = [start for start, _ in found]
    rejected = {
        name: error[start + len(name) + 2 : end].strip(" ,\n")
        for (start, name), end in zip(found, [*starts[1:], len(error)], strict=False)
    }
    is_cut_off = error.endswith(_CUT_OFF)
    if is_cut_off and len(rejected) > 1:
        # Its reason is incomplete; sent again with the rest, it will be told in full.
        rejected.popitem()
    return Verdict(rejected, rest_applies=bool(rejected) and not is_cut_off)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was rejected, for programs and, as a part of a sentence, for people."""

    kind: RejectionKind
    words: str


def read_reason(reason: str) -> Reason:
    """Return what a rejection means; the words of one that is not understood are handed on as they are."""
    bind = _CANNOT_BIND.search(reason)
    if bind is None:
        return Reason(RejectionKind.STRUCTURE, " ".join(reason.partition(_DUMP)[0].split()).removesuffix(":"))
    cause = bind["cause"].strip()
    kind, words = _CAUSES.get(cause, (RejectionKind.CANNOT_LISTEN, cause))
    return _cannot_listen(kind, bind["address"], words)


def port_in_use(address: str) -> Reason:
    """Return the reason of a listener whose address somebody else has; `address` is with the port."""
    return _cannot_listen(RejectionKind.ADDRESS_IN_USE, address, PORT_IN_USE)


def _cannot_listen(kind: RejectionKind, address: str, cause: str) -> Reason:
    return Reason(kind, f"cannot listen on {address}: {cause}")


def _position(error: str, name: str) -> int | None:
    found = re.search(rf"(?<![^\s,]){re.escape(name)}: ", error)
    return found.start() if found else None
