"""The access log of a listener, if it has one: what is written of each request, connection or session, as JSON.

All listeners of a node write to one file. Queries of requests are left out: they may hold secrets.
"""

from typing import Final

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog

from equipoise.backends.envoy.build.encoding import packed
from equipoise.proxy.model import ProxyListener, ServedProtocol

ACCESS_FILE: Final = "../log/access.json"
"""Relative to the working directory of Envoy."""

# The client is whoever opened the connection. What it says of itself, or a proxy before it, is in `forwarded_for`.
_OF_ALL: Final = {
    "time": "%START_TIME%",
    "client_address": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
    "client_port": "%DOWNSTREAM_DIRECT_REMOTE_PORT%",
    "listener_address": "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%",
    "listener_port": "%DOWNSTREAM_LOCAL_PORT%",
    "member": "%UPSTREAM_HOST%",
    "duration_ms": "%DURATION%",
    "flags": "%RESPONSE_FLAGS%",
}
_OF_CONNECTIONS: Final = {"bytes_received": "%BYTES_RECEIVED%", "bytes_sent": "%BYTES_SENT%"}
_OF_REQUESTS: Final = {
    "method": "%REQ(:METHOD)%",
    "host": "%REQ(:AUTHORITY)%",
    "path": "%PATH(NQ:PATH)%",
    "status": "%RESPONSE_CODE%",
    "http_version": "%PROTOCOL%",
    "forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
}
_OF_SESSIONS: Final = {
    f"{what}_{way}": f"%DYNAMIC_METADATA(udp.proxy.session:{what}_{way})%"
    for what in ("bytes", "datagrams")
    for way in ("received", "sent")
}


def access_logs(load_balancer_id: str, each: ProxyListener) -> list[AccessLog]:
    """Return the log of this listener; none where it is switched off."""
    if not each.is_logged:
        return []
    fields = {
        **_OF_ALL,
        "load_balancer_id": load_balancer_id,
        "listener_id": each.listener_id,
        "protocol": each.protocol.value,
        **(_OF_SESSIONS if each.protocol is ServedProtocol.UDP else _OF_CONNECTIONS),
        **(_OF_REQUESTS if each.protocol.carries_http else {}),
    }
    form = SubstitutionFormatString()
    form.json_format.update(fields)
    file = FileAccessLog(path=ACCESS_FILE, log_format=form)
    return [AccessLog(name="envoy.access_loggers.file", typed_config=packed(file))]
