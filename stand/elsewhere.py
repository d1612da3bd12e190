"""A controller without a data plane, and nodes that reach it over the network, each a process of its own."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stand.addresses import free_port
from stand.service import COMMAND, Service


class ControllerService(Service):
    """`equipoise controller` as a process."""

    def __init__(self, data_dir: Path, *settings: str) -> None:
        self.listens_for_nodes = f"{self.host}:{free_port(self.host)}"
        super().__init__(data_dir, f"nodes.listen={self.listens_for_nodes}", *settings)

    def arguments(self) -> Sequence[str]:
        return ["controller", "--listen", f"{self.host}:{self.port}"]

    def tell(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`equipoise node ...` with the data directory and the settings of this controller."""
        options = [option for setting in self.settings for option in ("--set", setting)]
        command = [str(COMMAND), "node", *words, "--data-dir", str(self.data_dir), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def new_token(self) -> str:
        made = self.tell("token")
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def nodes(self) -> list[dict[str, Any]]:
        """What `equipoise node list` shows."""
        return [json.loads(line) for line in self.tell("list").stdout.splitlines()]


class NodeProcess(Service):
    """`equipoise node` as a process; `token` is needed until it has joined."""

    def __init__(self, data_dir: Path, *controllers: str, name: str, token: str | None = None) -> None:
        super().__init__(data_dir)
        self.settings = []
        self.controllers = controllers
        self.name = name
        self.token = token
        self.node_id = ""

    def arguments(self) -> Sequence[str]:
        token = [] if self.token is None else ["--join-token", self.token]
        return ["node", "--controller", ",".join(self.controllers), "--name", self.name, *token]

    def note_ready(self, name: str, node_id: str = "") -> None:
        assert name == self.name
        self.node_id = node_id
