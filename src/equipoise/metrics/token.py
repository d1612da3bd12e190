"""The token by which collectors of metrics are known: a file that they may be given."""

import re
import secrets
from pathlib import Path
from typing import Final

from equipoise.private_files import write_private

TOKEN_FILE: Final = "metrics.token"  # noqa: S105 - a name

_FITS_A_HEADER: Final = re.compile(r"[!-~]{16,256}")


class MetricsTokenError(Exception):
    """The file cannot be used; the message says why."""


def read_or_make(path: Path) -> str:
    """The token in this file; one is made, for the owner alone to read, where there is no file.

    Raises:
        MetricsTokenError: there is something else in it. OSError: it cannot be read or written.
    """
    if not path.exists():
        write_private(path, f"{secrets.token_urlsafe(32)}\n".encode())
    token = path.read_text("utf-8", "replace").strip()
    if not _FITS_A_HEADER.fullmatch(token):
        raise MetricsTokenError(f"{path} must hold 16 to 256 printable ASCII characters without spaces, on one line.")
    return token
