"""How soon a connection to a database server is given up that nothing comes back from.

Without these a cut network is noticed only after the pauses of TCP, minutes later, and so is its healing.
"""

from typing import Any, Final

CONNECTION_PARAMETERS: Final[dict[str, Any]] = {
    # Seconds.
    "connect_timeout": 5,
    # Milliseconds for which what was sent may stay unconfirmed by the other machine.
    "tcp_user_timeout": 8_000,
    # Seconds: who waits for an answer asks whether the other machine is there, and gives up after three silent ones.
    "keepalives_idle": 3,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
"""Parameters of libpq."""
