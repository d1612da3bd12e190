"""Secrets are taken off the command line, and nothing else is."""

from equipoise.cli.command_line import without, without_option

SECRET = {"a=hunter2": ("A", "hunter2")}


def test_only_the_options_with_secrets_go() -> None:
    command = ["python", "equipoise", "up", "--set", "b=1", "--set", "a=hunter2", "--set=a=hunter2", "--set=c=2", "-x"]
    assert list(without(command, SECRET)) == ["python", "equipoise", "up", "--set", "b=1", "--set=c=2", "-x"]


def test_what_only_looks_like_one_stays() -> None:
    command = ["--config", "a=hunter2", "--settle=a=hunter2", "--set"]
    assert list(without(command, SECRET)) == command


def test_an_option_that_is_a_secret_goes_in_both_its_forms() -> None:
    command = [
        "equipoise",
        "node",
        "--join-token",
        "hunter2",
        "--join-token=hunter2",
        "--join-tokens",
        "x",
        "--join-token",
    ]
    assert list(without_option(command, "--join-token")) == ["equipoise", "node", "--join-tokens", "x"]
