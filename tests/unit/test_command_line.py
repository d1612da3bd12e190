"""Secrets are taken off the command line, and nothing else is."""

from equipoise.cli.command_line import without

SECRET = {"a=hunter2": ("A", "hunter2")}


def test_only_the_options_with_secrets_go() -> None:
    command = ["python", "equipoise", "up", "--set", "b=1", "--set", "a=hunter2", "--set=a=hunter2", "--set=c=2", "-x"]
    assert list(without(command, SECRET)) == ["python", "equipoise", "up", "--set", "b=1", "--set=c=2", "-x"]


def test_what_only_looks_like_one_stays() -> None:
    command = ["--config", "a=hunter2", "--settle=a=hunter2", "--set"]
    assert list(without(command, SECRET)) == command
