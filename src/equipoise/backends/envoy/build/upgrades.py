"""To which protocols a connection over HTTP can change, and what becomes of offers of others.

RFC 9110 (7.8) lets a server ignore an offer, and that is what happens: it is taken out, and the request goes on without
it. Envoy would reject the request with 403.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

PASSED_ON: Final = ("websocket", "SPDY/3.1", "tcp")
"""WebSocket, and what kubectl (`exec`, `port-forward`) and docker (`attach`, `exec`) speak. No two begin alike."""


@cache
def upgrades() -> Sequence[HttpConnectionManager.UpgradeConfig]:
    """Return what a connection may change to."""
    return [HttpConnectionManager.UpgradeConfig(upgrade_type=each) for each in PASSED_ON]


@cache
def ignored_upgrades() -> StringMatcher:
    """Return what tells the offers that are taken out. Each of a list is looked at by itself."""
    return StringMatcher(safe_regex=RegexMatcher(regex=unlike(PASSED_ON)))


def unlike(names: Iterable[str]) -> str:
    """Return a pattern for what differs from each of `names` in its first two letters, their case apart, or in length.

    Envoy's patterns cannot say "not". One that looks at every letter would cost 13 KiB of memory for each listener, and
    this one 5; what it misses, such as nine letters that begin with "we", is no protocol that anybody offers.
    """
    first = "".join(_either_case(name[0]) for name in names)
    return "|".join([f"[^{first}]\\C*", *map(_begins_alike, names)])


def _begins_alike(name: str) -> str:
    rest = len(name) - 1
    return f"[{_either_case(name[0])}](?:\\C{{0,{rest - 1}}}|\\C{{{rest + 1},}}|[^{_either_case(name[1])}]\\C*)"


def _either_case(letter: str) -> str:
    return letter.upper() + letter.lower()
