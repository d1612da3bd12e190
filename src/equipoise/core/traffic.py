"""The traffic metrics of a load balancer: what its data plane carried between two looks."""

from typing import Final, NamedTuple

RESPONSE_TIMES: Final = (5, 25, 100, 500, 2500, 10_000)
"""The bounds in milliseconds by which answers are told apart by how long they took. A few: each listener has its own
count for each."""


class Traffic(NamedTuple):
    """One sample. Connections are as of `time` (milliseconds since 1970, UTC), the rest is per second before it.

    `act_conn` are connections in use, `inact_conn` those that are open with no request under way; `ncps` are new
    connections. "In" is from the clients, "out" to them; bytes are those that the connections carry.
    """

    load_balancer_id: str
    time: int
    act_conn: int = 0
    inact_conn: int = 0
    ncps: int = 0
    in_packets: int = 0
    out_packets: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
