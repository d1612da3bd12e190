"""The kernel knows who listens."""

import os
import socket
import subprocess
import sys

import pytest

from equipoise.backends.envoy.xds.listening import is_listening, is_taken_for_datagrams


def test_an_address_is_listened_on_from_listen_until_close() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert not is_listening("127.0.0.1", port)
        server.listen()
        assert is_listening("127.0.0.1", port)
    assert not is_listening("127.0.0.1", port)


def test_one_who_listens_everywhere_is_not_meant() -> None:
    with socket.socket() as server:
        server.bind(("", 0))
        server.listen()
        assert not is_listening("127.0.0.1", server.getsockname()[1])


@pytest.mark.parametrize("option", [None, socket.SO_REUSEPORT, socket.SO_REUSEADDR])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_for_datagrams_is_taken_until_close_however_it_is_shared(option: int | None, address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        if option is not None:
            holder.setsockopt(socket.SOL_SOCKET, option, 1)
        holder.bind((address, 0))
        port = holder.getsockname()[1]
        assert is_taken_for_datagrams("127.0.0.1", port)
    assert not is_taken_for_datagrams("127.0.0.1", port)


def test_a_port_of_tcp_or_of_another_machine_is_not_taken_for_datagrams() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert not is_taken_for_datagrams("127.0.0.1", server.getsockname()[1])
    assert not is_taken_for_datagrams("192.0.2.1", 5353)


def test_ones_own_sockets_do_not_count_unless_somebody_shares_them() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        own.bind(("127.0.0.1", 0))
        address, port = own.getsockname()
        assert not is_taken_for_datagrams(address, port, [os.getpid()])
        assert is_taken_for_datagrams(address, port, [os.getppid()])
        script = (
            "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM);"
            "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); s.bind((sys.argv[1], int(sys.argv[2])));"
            "print(flush=True); sys.stdin.read()"
        )
        other = subprocess.Popen(
            [sys.executable, "-c", script, address, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with other:
            assert other.stdout is not None
            other.stdout.readline()
            assert is_taken_for_datagrams(address, port, [os.getpid()])
        assert not is_taken_for_datagrams(address, port, [os.getpid()])
