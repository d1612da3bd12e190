"""`equipoise demo`, as people run it: it shows traffic on both backends, and nothing of it is left afterwards."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from stand import COMMAND, PATIENCE, eventually

Demo = subprocess.Popen[str]
LAST_LINE = "Ctrl-C ends everything"


@contextmanager
def running_demo(folder: Path, *options: str, through: Sequence[str] = ()) -> Iterator[Demo]:
    """The demo with all its files below `folder`, and with a standard input that stays open.

    `through` is a command that runs it.
    """
    process = subprocess.Popen(
        [*through, COMMAND, "demo", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Colours asked for, and a setting of somebody else's service: neither must have an effect.
        env={
            **os.environ,
            "TMPDIR": str(folder),
            "FORCE_COLOR": "1",
            "EQUIPOISE_DATABASE_URL": "sqlite:////nowhere/db",
        },
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def processes_of(folder: Path) -> list[int]:
    """Whoever names the folder on its command line or works in it: the service and its Envoy."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (
                str(folder).encode() in (entry / "cmdline").read_bytes()
                or (entry / "cwd").readlink().is_relative_to(folder)
            ):
                found.append(int(entry.name))
    return found


def assert_nothing_is_left(folder: Path) -> None:
    assert processes_of(folder) == []
    assert list(folder.iterdir()) == []


def read_until(demo: Demo, mark: str) -> str:
    text = ""
    assert demo.stdout is not None
    for line in demo.stdout:
        text += line
        if mark in line:
            return text
    raise AssertionError(f"the demo ended without {mark!r}; it said:\n{text}")


def test_the_demo_shows_both_backends_answering_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--once") as demo:
        said, _ = demo.communicate(timeout=PATIENCE * 2)
    assert demo.returncode == 0, said
    assert "5 from backend A, 5 from backend B" in said
    assert len(re.findall(r"^ +\d+ +answered", said, re.MULTILINE)) == 10
    assert '"job_type": "createELB"' in said
    assert [character for character in said if not character.isprintable() and character != "\n"] == []
    assert_nothing_is_left(tmp_path)


def interrupt(demo: Demo) -> None:
    demo.send_signal(signal.SIGINT)


def terminate(demo: Demo) -> None:
    demo.send_signal(signal.SIGTERM)


def take_input_away(demo: Demo) -> None:
    assert demo.stdin is not None
    demo.stdin.close()


def take_output_away(demo: Demo) -> None:
    assert demo.stdout is not None
    demo.stdout.close()


@pytest.mark.parametrize("end", [interrupt, terminate, take_input_away, take_output_away])
def test_the_stand_stays_until_it_is_ended_and_then_goes_without_a_trace(
    tmp_path: Path, end: Callable[[Demo], None]
) -> None:
    with running_demo(tmp_path) as demo:
        said = read_until(demo, LAST_LINE)
        front = re.search(r"curl (http://127\S+)", said)
        assert front is not None
        assert httpx.get(front[1], trust_env=False, timeout=PATIENCE).text.startswith("backend ")
        assert len(processes_of(tmp_path)) >= 2
        end(demo)
        assert demo.wait(PATIENCE) == 0
    assert_nothing_is_left(tmp_path)


def test_an_interrupt_before_the_walk_is_over_ends_everything_too(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        eventually(lambda: processes_of(tmp_path))
        interrupt(demo)
        assert demo.wait(PATIENCE) == 128 + signal.SIGINT
    assert_nothing_is_left(tmp_path)


def test_an_interrupt_ends_what_a_script_has_started_in_the_background(tmp_path: Path) -> None:
    # A shell without job control has SIGINT ignored in all that it starts with &.
    in_background = ("sh", "-c", 'trap "" INT; exec "$0" "$@"')
    with running_demo(tmp_path, through=in_background) as demo:
        read_until(demo, LAST_LINE)
        interrupt(demo)
        assert demo.wait(PATIENCE) == 0
    assert_nothing_is_left(tmp_path)


def test_a_service_that_dies_ends_the_demo_with_its_log_and_without_its_envoy(tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo:
        read_until(demo, LAST_LINE)
        # Looked for before one is killed: with the service the others come to their end.
        pids = processes_of(tmp_path)
        for pid in [each for each in pids if b"--data-dir" in Path(f"/proc/{each}/cmdline").read_bytes()]:
            os.kill(pid, signal.SIGKILL)
        said, _ = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 1
    assert "Failed: The service ended by signal 9." in said
    assert_nothing_is_left(tmp_path)
