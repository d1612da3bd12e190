"""Sockets below directories with long names."""

import socket
from pathlib import Path

from equipoise.unix_path import short_path


def test_a_socket_in_a_directory_with_a_long_name_can_be_bound_and_reached(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 150)
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as server, short_path(directory / "s") as name:
        server.bind(name)
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(name)
    assert (directory / "s").is_socket()
