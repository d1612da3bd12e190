"""`equipoise node`: what an operator does about nodes, beside a service that runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from equipoise.cli.main import main
from equipoise.cli.node import TOKEN_VARIABLE
from equipoise.core.admission import AdmittedNode
from equipoise.store import admission as store
from equipoise.store.database import open_engine
from equipoise.wire.authority import PeerKind, peer_of
from equipoise.wire.join_token import JoinToken


def run(url: str, folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["node", *words, "--data-dir", str(folder), "--set", f"database.url={url}"])


def shown(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_a_token_is_made_with_the_key_of_the_service(database_url: str, tmp_path: Path) -> None:
    first, second = (run(database_url, tmp_path, "token").output for _ in range(2))
    tokens = [JoinToken.from_text(text) for text in (first, second)]
    assert tokens[0].authority == tokens[1].authority
    ids = {peer_of(token.pair.certificate) for token in tokens}
    assert [id.kind for id in ids] == [PeerKind.JOIN] * 2
    (tmp_path / "keys" / "certificate.key").rename(tmp_path / "elsewhere.key")
    failed = run(database_url, tmp_path, "token")
    assert failed.exit_code == 1
    assert "certificate.key is missing" in failed.output


def test_nodes_are_listed_shown_and_removed(database_url: str, tmp_path: Path) -> None:
    assert shown(run(database_url, tmp_path, "list")) == []
    engine = open_engine(database_url)
    with engine.begin() as connection:
        for name in ("two", "one"):
            store.admit(connection, AdmittedNode(f"id-{name}", name, "f" * 64, 1_800_000_000_000, 1_800_086_400_000))
    engine.dispose()
    one = {
        "name": "one",
        "id": "id-one",
        "live": False,
        "create_time": "2027-01-15T08:00:00+00:00",
        "certificate_until": "2027-01-16T08:00:00+00:00",
    }
    assert shown(run(database_url, tmp_path, "list"))[0] == one
    assert shown(run(database_url, tmp_path, "show", "one")) == [one]
    assert run(database_url, tmp_path, "remove", "one").exit_code == 0
    assert [each["name"] for each in shown(run(database_url, tmp_path, "list"))] == ["two"]
    for command in ("show", "remove"):
        failed = run(database_url, tmp_path, command, "one")
        assert failed.exit_code == 1
        assert failed.output == "Error: There is no node 'one': `equipoise node list` shows all.\n"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "Missing option '--data-dir'"),
        (["--data-dir", "data"], "Missing option '--controller'"),
        (["--data-dir", "data", "--controller", "10.0.0.1"], "must be HOST:PORT, or several with commas"),
        (["--data-dir", "data", "--controller", "a:1,b:0"], "must be HOST:PORT, or several with commas"),
        (["--data-dir", "data", "--controller", "a:1", "--name", "a b"], "must be 1 to 63 letters"),
    ],
)
def test_what_a_node_is_told_is_checked_before_it_starts(given: list[str], told: str) -> None:
    failed = CliRunner().invoke(main, ["node", *given])
    assert failed.exit_code == 2
    assert told in " ".join(failed.output.split())


def test_what_is_no_token_is_not_quoted(tmp_path: Path) -> None:
    given = ["node", "--data-dir", str(tmp_path), "--controller", "127.0.0.1:1", "--name", "one"]
    failed = CliRunner().invoke(main, given, env={TOKEN_VARIABLE: "hunter2"})
    assert failed.exit_code == 1
    assert "must be the whole line" in failed.output
    assert "hunter2" not in failed.output
