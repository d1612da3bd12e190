"""Puts the settings together out of their sources; a later one wins: defaults, file, environment, command line."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields
from difflib import get_close_matches
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

from equipoise.core.networks import Networks
from equipoise.settings.table import Settings, group_type, hide_all, rows

ENVIRONMENT_PREFIX: Final = "EQUIPOISE_"
COMMAND_LINE: Final = "--set"
# A cluster that runs the service under its own name puts such variables into every container.
_FOREIGN_VARIABLE: Final = re.compile(r"EQUIPOISE_(SERVICE_(HOST|PORT)|PORT)(_\w+)?")
_TABLE: Final = {name: row for name, row, _ in rows()}


class SettingsError(Exception):
    """Settings that cannot be used. One line for each: the setting, what was given, what is allowed."""


def load(
    config: Path | None = None, environ: Mapping[str, str] | None = None, overrides: Sequence[str] = ()
) -> Settings:
    """Put the sources together; a later one wins: defaults, file, environment, overrides.

    Args:
        config: TOML file, a table for each group.
        environ: variables such as `EQUIPOISE_API_SYNC_WAIT`; others are ignored.
        overrides: `name=value` each.

    Raises:
        SettingsError: with all that is wrong.
    """
    problems: list[str] = []
    given = [
        *_from_file(config, problems),
        *_from_environment(environ or {}, problems),
        *_from_overrides(overrides, problems),
    ]
    values: dict[str, Any] = {}
    for source, name, value in given:
        _take(source, name, value, values, problems)
    settings = Settings(**{group.name: _group(group, values) for group in fields(Settings)})
    problems += _contradictions(settings)
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


Override = tuple[str, str]
"""The environment variable of a setting, and a value of it."""


def secret_overrides(overrides: Sequence[str]) -> dict[str, Override]:
    """The `name=value` overrides of settings of which one holds a secret, with what says the same in the environment.

    Of several for one setting the last one counts, as everywhere.
    """
    named = [(override, name.strip(), value) for override in overrides for name, _, value in [override.partition("=")]]
    meant = {name: value for _, name, value in named}
    secret = {name for _, name, value in named if _is_secret(name, value)}
    return {override: (variable_of(name), meant[name]) for override, name, _ in named if name in secret}


def _is_secret(name: str, value: str) -> bool:
    row = _TABLE.get(name)
    return row is not None and row.hide is not None and row.hide(value) != value


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return ENVIRONMENT_PREFIX + name.replace(".", "_").upper()


Given = tuple[str, str, object]
"""Where a value comes from, the name of the setting, the value."""


def _from_file(path: Path | None, problems: list[str]) -> Iterator[Given]:
    if path is None:
        return
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        problems.append(f"{path}: {error.strerror}.")
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # A decoder of TOML names the line and quotes nothing but a character.
        problems.append(f"{path} is not TOML: {error}.")
        return
    for group, entries in content.items():
        if isinstance(entries, dict):
            yield from ((str(path), f"{group}.{name}", value) for name, value in entries.items())
        else:
            yield str(path), group, entries


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> Iterator[Given]:
    names = {variable_of(name): name for name in _TABLE}
    for variable, value in environ.items():
        if variable in names:
            yield variable, names[variable], value
        elif variable.startswith(ENVIRONMENT_PREFIX) and not _FOREIGN_VARIABLE.fullmatch(variable):
            problems.append(f"{variable}: there is no setting for this environment variable.{_near(variable, names)}")


def _from_overrides(overrides: Sequence[str], problems: list[str]) -> Iterator[Given]:
    for number, override in enumerate(overrides, start=1):
        name, equals, value = override.partition("=")
        if equals:
            yield COMMAND_LINE, name.strip(), value
        else:
            problems.append(f"--set number {number} must be name=value, for example api.sync_wait=5.")


def _take(source: str, name: str, given: object, values: dict[str, Any], problems: list[str]) -> None:
    row = _TABLE.get(name)
    if row is None:
        problems.append(f"{source}: there is no setting {name}.{_near(name, _TABLE)}")
        return
    if source == COMMAND_LINE and row.hide is hide_all and given:
        problems.append(
            f"{source}: {name} is a secret, and every user of the machine can read a command line; "
            f"give it in the environment variable {variable_of(name)} or in the file of --config."
        )
        return
    try:
        values[name] = row.kind.parse(given)
    except (ValueError, OverflowError):
        shown = repr(given) if row.hide is None else "what was given"
        problems.append(f"{source}: {name} must be {row.kind.allowed}; {shown} is not.")


def _contradictions(settings: Settings) -> Iterator[str]:
    """Values that are allowed each, but not together."""
    external, internal = settings.addresses.external, settings.addresses.internal
    if external.overlaps(internal):
        yield f"addresses.internal ({internal}) must not overlap addresses.external ({external})."
    yield from _overlaps(external, settings.networks.vpcs)
    if settings.jobs.busy_mark >= settings.jobs.hard_mark:
        yield (
            f"jobs.hard_mark ({settings.jobs.hard_mark}) must be above jobs.busy_mark ({settings.jobs.busy_mark}); "
            "jobs.busy_mark=0 switches that one off."
        )


def _overlaps(external: IPv4Network, vpcs: Networks) -> Iterator[str]:
    """Addresses are those of one machine: whatever the VPC, each belongs to one pool."""
    pools = [("addresses.external", external)]
    for vpc_id, subnets in vpcs.subnets.items():
        for subnet_id, pool in subnets.items():
            name = f"networks.vpcs.{vpc_id}.subnets.{subnet_id}"
            yield from (
                f"{name} ({pool}) must not overlap {other} ({there})." for other, there in pools if pool.overlaps(there)
            )
            pools.append((name, pool))


def _near(name: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    return f" Near it: {', '.join(near)}." if near else f" There are: {', '.join(known)}."


def _group(group: "Field[Any]", values: Mapping[str, Any]) -> Any:
    kind = group_type(group)
    names = {f"{group.name}.{setting.name}": setting.name for setting in fields(kind)}
    return kind(**{short: values[name] for name, short in names.items() if name in values})
