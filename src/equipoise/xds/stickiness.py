"""How the sessions of an HTTP listener stay with their member: a cookie that the load balancer sets.

The filter is part of every HTTP listener and switched off; the routes switch it on. So neither stickiness nor the
lifetime of the cookie is part of the listener, and what is switched off is never created for a request.
"""

from typing import Final

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.filters.http.stateful_session.v3.stateful_session_pb2 import (
    StatefulSession,
    StatefulSessionPerRoute,
)
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.http.stateful_session.cookie.v3.cookie_pb2 import CookieBasedSessionState
from envoy.type.http.v3.cookie_pb2 import Cookie, CookieAttribute

from equipoise.xds.encoding import packed
from equipoise.xds.model import Protocol, ProxyListener

FILTER_NAME: Final = "envoy.filters.http.stateful_session"

_NAME_LENGTH = 8


def stickiness_filter() -> HttpFilter:
    """Return the filter as the listener has it: without any effect."""
    return HttpFilter(name=FILTER_NAME, typed_config=packed(StatefulSession()), disabled=True)


def stickiness_by_cookie(each: ProxyListener) -> StatefulSessionPerRoute:
    """Return what the routes of a sticky listener say to the filter."""
    state = CookieBasedSessionState(cookie=_cookie(each))
    session = TypedExtensionConfig(name="envoy.http.stateful_session.cookie", typed_config=packed(state))
    return StatefulSessionPerRoute(stateful_session=StatefulSession(session_state=session))


def cookie_name(listener_id: str) -> str:
    """Name the cookie. Browsers send a cookie to every port of an address, so each listener has a name of its own."""
    return f"lb-{listener_id[:_NAME_LENGTH]}"


def _cookie(each: ProxyListener) -> Cookie:
    cookie = Cookie(name=cookie_name(each.listener_id), path="/")
    if each.cookie_lifetime is not None:
        cookie.ttl.seconds = each.cookie_lifetime
    if each.protocol is Protocol.HTTPS:
        cookie.attributes.append(CookieAttribute(name="Secure"))
    return cookie
