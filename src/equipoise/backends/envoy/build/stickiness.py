"""How the sessions of an HTTP listener stay with their member: a cookie that the load balancer sets.

Only listeners that are sticky have the filter: neither stickiness nor the lifetime of the cookie can be updated.
"""

from typing import Final

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.filters.http.stateful_session.v3.stateful_session_pb2 import StatefulSession
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.http.stateful_session.cookie.v3.cookie_pb2 import CookieBasedSessionState
from envoy.type.http.v3.cookie_pb2 import Cookie, CookieAttribute

from equipoise.backends.envoy.build.encoding import packed
from equipoise.proxy.model import ProxyListener, ProxyPool, ServedProtocol

_NAME_LENGTH: Final = 8


def stickiness_by_cookie(each: ProxyListener, pool: ProxyPool) -> HttpFilter:
    """Return the filter of a sticky listener."""
    state = CookieBasedSessionState(cookie=_cookie(each, pool))
    session = TypedExtensionConfig(name="envoy.http.stateful_session.cookie", typed_config=packed(state))
    return HttpFilter(
        name="envoy.filters.http.stateful_session", typed_config=packed(StatefulSession(session_state=session))
    )


def cookie_name(pool_id: str) -> str:
    """Name the cookie. Browsers send a cookie to every port of an address, so each pool has a name of its own."""
    return f"lb-{pool_id[:_NAME_LENGTH]}"


def _cookie(each: ProxyListener, pool: ProxyPool) -> Cookie:
    cookie = Cookie(name=cookie_name(pool.pool_id), path="/")
    if pool.cookie_lifetime is not None:
        cookie.ttl.seconds = pool.cookie_lifetime
    if each.protocol is ServedProtocol.HTTPS:
        cookie.attributes.append(CookieAttribute(name="Secure"))
    return cookie
