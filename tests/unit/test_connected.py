import socket

from equipoise.node.connected import is_connected

ADDRESS, OTHER = "127.99.201.7", "127.99.201.8"


def test_a_connection_is_known_by_the_address_it_leads_to() -> None:
    with socket.create_server((ADDRESS, 0)) as server:
        assert not is_connected(ADDRESS)
        with socket.create_connection(server.getsockname(), source_address=(OTHER, 0)):
            assert is_connected(ADDRESS)
            peer, _ = server.accept()
            with peer:
                assert is_connected(OTHER)
            assert not is_connected("127.99.201.9")
