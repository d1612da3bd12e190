"""The kernel knows who listens."""

import socket

from equipoise.dataplane.listening import is_listening


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
