"""A stand for tests and benchmarks: a running service, clients, and members on addresses of their own.

Everything is real: processes, sockets, addresses of the loopback interface. The package is not installed with
Equipoise. Tests and benchmarks import it; it imports neither of them.
"""

from stand.addresses import can_connect, first_addresses, free_port, unused_network
from stand.api import Api
from stand.asking import ask, assert_even
from stand.backends import Backend, Backends, running_backends
from stand.service import COMMAND, Service, process_is_there, running_service, whole_lines
from stand.waiting import PATIENCE, eventually

__all__ = [
    "COMMAND",
    "PATIENCE",
    "Api",
    "Backend",
    "Backends",
    "Service",
    "ask",
    "assert_even",
    "can_connect",
    "eventually",
    "first_addresses",
    "free_port",
    "process_is_there",
    "running_backends",
    "running_service",
    "unused_network",
    "whole_lines",
]
