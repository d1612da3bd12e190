"""The reference page of settings, made from their table."""

from equipoise.settings.load import variable_of
from equipoise.settings.table import rows


def settings_reference() -> str:
    """The reference page, in Markdown."""
    lines = [
        "# Settings",
        "",
        "Written by `make docs` from `src/equipoise/settings/table.py`: change it there.",
        "",
        "A later source wins: default, `--config FILE` (TOML, a table for each group), environment variable,",
        "`--set name=value`. An unknown name or a value that is not allowed ends the start with a message.",
        "",
        "Every user of a machine can read command lines. So `--set` rejects `http.gateway_secret`. It accepts a",
        "`database.url` with a password, with a warning: the process restarts itself with the URL in its environment,",
        "which only its user and root can read. Give both in an environment variable or in the file. PostgreSQL also",
        "takes `PGPASSWORD`, `PGPASSFILE` and `~/.pgpass`.",
        "",
        "| setting | allowed | default | environment | meaning |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {row.kind.allowed} | {_default(default)} | `{variable_of(name)}` | {row.help} |"
        for name, row, default in rows()
    ]
    return "\n".join(lines) + "\n"


def _default(default: object) -> str:
    return "empty" if default in ("", ()) else f"`{default}`"
