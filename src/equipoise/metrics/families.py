"""Every family that `/metrics` shows, in one table: name, kind, labels, meaning. Who counts is beside this module."""

from collections.abc import Iterator
from typing import Final

from equipoise.core.traffic import RESPONSE_TIMES
from equipoise.metrics.exposition import Family

_LISTENER: Final = ("load_balancer_id", "load_balancer", "listener_id", "listener")
_MEMBER: Final = (*_LISTENER, "member_id", "address")
_JOB: Final = ("type", "state")
_PUSH: Final = ("node", "kind")

BUILD = Family("equipoise_build_info", "gauge", ("version",), "1, with the version of the service.")

LOAD_BALANCER = Family(
    "equipoise_load_balancer_info",
    "gauge",
    ("load_balancer_id", "load_balancer", "project_id", "address", "type"),
    "1 for each load balancer; to join what the other series do not say.",
)
LISTENER = Family(
    "equipoise_listener_info", "gauge", (*_LISTENER, "project_id", "protocol", "port"), "1 for each listener."
)
OPEN = Family(
    "equipoise_listener_open_connections",
    "gauge",
    (*_LISTENER, "state"),
    "Connections of clients, sessions over UDP; idle: over HTTP, with no request under way.",
)
CONNECTIONS = Family(
    "equipoise_listener_connections_total", "counter", _LISTENER, "Connections that clients made, sessions over UDP."
)
REFUSED = Family(
    "equipoise_listener_refused_connections_total",
    "counter",
    _LISTENER,
    "Connections, or sessions over UDP, that were turned away because a limit was reached.",
)
RECEIVED = Family(
    "equipoise_listener_received_bytes_total",
    "counter",
    _LISTENER,
    "Bytes from clients; without headers of TCP, IP.",
)
SENT = Family(
    "equipoise_listener_sent_bytes_total", "counter", _LISTENER, "Bytes to clients; without headers of TCP, IP."
)
PACKETS_RECEIVED = Family(
    "equipoise_listener_received_packets_total",
    "counter",
    _LISTENER,
    "Packets from clients, acknowledgements too; absent where the kernel does not count (monitor.packets).",
)
PACKETS_SENT = Family(
    "equipoise_listener_sent_packets_total", "counter", _LISTENER, "Packets to clients; absent as those received."
)
REQUESTS = Family(
    "equipoise_listener_requests_total",
    "counter",
    (*_LISTENER, "code"),
    "Requests over HTTP that were answered, by the class of the status: 1xx to 5xx.",
)
RESPONSE_TIME = Family(
    "equipoise_listener_request_duration_seconds",
    "histogram",
    _LISTENER,
    "From the first byte of a request over HTTP to the last byte of its answer.",
    tuple(bound / 1000 for bound in RESPONSE_TIMES),
)
MEMBER_HEALTHY = Family("equipoise_member_healthy", "gauge", _MEMBER, "1 or 0; absent while no health check has told.")
MEMBER_OPEN = Family(
    "equipoise_member_open_connections", "gauge", _MEMBER, "Connections to the member; not counted over UDP."
)
MEMBER_CONNECTIONS = Family(
    "equipoise_member_connections_total", "counter", _MEMBER, "Connections made to the member; not counted over UDP."
)
MEMBER_FAILED = Family(
    "equipoise_member_connection_failures_total", "counter", _MEMBER, "Connections to the member that failed."
)
MEMBER_REQUESTS = Family("equipoise_member_requests_total", "counter", _MEMBER, "Requests over HTTP to the member.")
MEMBER_SUCCEEDED = Family(
    "equipoise_member_successful_requests_total",
    "counter",
    _MEMBER,
    "Requests over HTTP that the member answered, with a status below 500.",
)

JOBS = Family("equipoise_unfinished_jobs", "gauge", _JOB, "Unfinished jobs now: INIT or RUNNING.")
JOBS_TOTAL = Family(
    "equipoise_jobs_total", "counter", _JOB, "Jobs that entered a state: INIT, RUNNING, SUCCESS or FAIL."
)
JOB_DURATION = Family(
    "equipoise_job_duration_seconds",
    "histogram",
    _JOB,
    "From the acceptance of a job to its end: SUCCESS or FAIL.",
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)

CONNECTED = Family("equipoise_control_stream_connected", "gauge", ("node",), "1 while its stream is open, else 0.")
PUSHES = Family("equipoise_control_stream_pushes_total", "counter", _PUSH, "Messages sent to the node.")
RESOURCES = Family(
    "equipoise_control_stream_resources_total", "counter", _PUSH, "Resources sent to the node, and removals."
)
ACKS = Family("equipoise_control_stream_acks_total", "counter", _PUSH, "Messages that the node accepted.")
REFUSALS = Family(
    "equipoise_control_stream_refusals_total", "counter", _PUSH, "Messages of which the node rejected something."
)
ACK_TIME = Family(
    "equipoise_control_stream_answer_seconds",
    "histogram",
    ("node",),
    "From sending a message to the node's answer.",
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
BEHIND = Family(
    "equipoise_control_stream_behind",
    "gauge",
    ("node",),
    "Load balancers whose newest state the node has not confirmed.",
)
LAG = Family(
    "equipoise_control_stream_lag_seconds", "gauge", ("node",), "For how long it has not confirmed the oldest of these."
)

DATABASE_UP = Family("equipoise_database_up", "gauge", (), "1 while the database answers, else 0.")
SAMPLE_TIME = Family("equipoise_traffic_sample_timestamp_seconds", "gauge", (), "Time of the last traffic sample.")
ENVOY_UP = Family("equipoise_envoy_up", "gauge", ("node",), "1 while Envoy answers, else 0.")
ENVOY_CPU = Family("equipoise_envoy_cpu_seconds_total", "counter", ("node",), "CPU time of the Envoy that runs now.")
ENVOY_MEMORY = Family("equipoise_envoy_resident_memory_bytes", "gauge", ("node",), "Memory of Envoy.")
ENVOY_FILES = Family("equipoise_envoy_open_fds", "gauge", ("node",), "File descriptors that Envoy has open.")
ENVOY_MOST_FILES = Family("equipoise_envoy_max_fds", "gauge", ("node",), "File descriptors that Envoy may open.")
ENVOY_MOST_CONNECTIONS = Family(
    "equipoise_envoy_max_connections", "gauge", ("node",), "Connections of clients over TCP that Envoy lets in, in all."
)
ENVOY_MOST_SESSIONS = Family(
    "equipoise_envoy_max_udp_sessions",
    "gauge",
    ("node",),
    "Sessions over UDP for which there is room, in all; each listener has an equal share.",
)
ENVOY_SHORTAGES = Family(
    "equipoise_envoy_descriptor_shortages_total",
    "counter",
    ("node",),
    "Times that Envoy began to reject new connections because few file descriptors were left.",
)

CPU = Family("process_cpu_seconds_total", "counter", (), "CPU time of the service.")
MEMORY = Family("process_resident_memory_bytes", "gauge", (), "Memory of the service.")
FILES = Family("process_open_fds", "gauge", (), "File descriptors that the service has open.")
MOST_FILES = Family("process_max_fds", "gauge", (), "File descriptors that the service may open.")
STARTED = Family("process_start_time_seconds", "gauge", (), "When the service was started.")


def families() -> Iterator[Family]:
    """All, in the order of this table."""
    return (value for value in list(globals().values()) if isinstance(value, Family))


def metrics_reference() -> str:
    """The reference page, in Markdown."""
    lines = [
        "# Metrics",
        "",
        "Written by `make docs` from `src/equipoise/metrics/families.py`: change it there. How to collect and who may",
        "read: [howto/watch-with-prometheus.md](../howto/watch-with-prometheus.md).",
        "",
        "| name | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{each.name}` | {each.kind} | {', '.join(each.labels)} | {each.help}{_bounds(each)} |"
        for each in families()
    ]
    return "\n".join(lines) + "\n"


def _bounds(family: Family) -> str:
    return f" Buckets: {', '.join(f'{bound:g}' for bound in family.bounds)}." if family.bounds else ""
