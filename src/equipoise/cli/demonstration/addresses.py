"""Loopback addresses and ports for one demo, apart from those of any other service on this machine."""

import errno
import socket
from dataclasses import dataclass
from random import SystemRandom
from typing import Final, Self

_SECOND_OCTETS: Final = range(80, 127)
"""Of 127.x.0.0: away from the default pools, which a service that runs beside the demo may use."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The pools of the demo's service and the addresses of its backends."""

    external: str
    internal: str
    backends: tuple[str, str]

    @classmethod
    def choose(cls) -> Self:
        """Somewhere in 127.80.0.0 to 127.126.255.255, at random: two demos at once rarely meet."""
        random = SystemRandom()
        second, third = random.choice(_SECOND_OCTETS), 4 * random.randrange(64)
        nets = [f"127.{second}.{third + offset}" for offset in range(3)]
        return cls(f"{nets[0]}.0/24", f"{nets[1]}.0/24", (f"{nets[2]}.1", f"{nets[2]}.2"))

    def free_port(self, preferred: int) -> int:
        """The preferred port where nobody holds it on all addresses, else any free one. Raises OSError."""
        # A program that listens on 0.0.0.0 holds the port on every address, so one stands for all.
        with socket.socket() as probe:
            try:
                probe.bind((self.backends[0], preferred))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                probe.bind((self.backends[0], 0))
            return int(probe.getsockname()[1])
