"""Takes secrets off the command line, which every user of a machine can read. Which ones are secret, settings know."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NoReturn

from equipoise.settings.load import Override

_OPTION: Final = "--set"


def begin_again_without(secret: Mapping[str, Override]) -> NoReturn:
    """Run the same command in this process again, with the secrets in its environment instead.

    The environment of a process can be read by its own user and root alone. Supervisors notice nothing: it is the
    same process, and nothing was started yet.

    Args:
        secret: what stands after `--set` -> the variable of that setting and its value.
    """
    arguments = [*without(sys.orig_argv, secret)]
    _begin_again(arguments, dict(secret.values()))


def begin_again_without_option(option: str, variable: str, value: str) -> NoReturn:
    """The same for an option that is a secret in itself, which this variable can hold instead."""
    _begin_again([*without_option(sys.orig_argv, option)], {variable: value})


def _begin_again(arguments: list[str], variables: Mapping[str, str]) -> NoReturn:
    os.execve(sys.executable, arguments, {**os.environ, **variables})  # noqa: S606 - the command that runs


def without_option(arguments: Sequence[str], option: str) -> Iterator[str]:
    """The arguments of a command without an option and its value."""
    left = iter(arguments)
    for argument in left:
        if argument == option:
            next(left, None)
        elif not argument.startswith(f"{option}="):
            yield argument


def without(arguments: Sequence[str], secret: Mapping[str, Override]) -> Iterator[str]:
    """The arguments of a command without the options that set a secret."""
    left = iter(arguments)
    for argument in left:
        if argument.removeprefix(f"{_OPTION}=") in secret and argument.startswith(_OPTION):
            continue
        if argument == _OPTION:
            value = next(left, None)
            if value in secret:
                continue
            yield argument
            if value is not None:
                yield value
            continue
        yield argument
