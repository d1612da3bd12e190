"""The log: one line an event, whoever wrote it, and no secrets in it."""

import ast
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

from equipoise.logs import configure_logs

PACKAGE = Path(__file__).parents[2] / "src" / "equipoise"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield io.StringIO()
    logging.captureWarnings(False)
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_with_time_level_logger_and_context(stream: io.StringIO) -> None:
    configure_logs("json", "info", stream)
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger("equipoise.here").info("job_ended", job_id="j", odd=object())
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("odd").startswith("<object")
    assert line == {
        "event": "job_ended",
        "job_id": "j",
        "level": "info",
        "logger": "equipoise.here",
        "request_id": "r1",
    }


def test_the_standard_library_and_warnings_go_the_same_way(stream: io.StringIO) -> None:
    configure_logs("json", "info", stream)
    logging.getLogger("uvicorn.error").warning("port %d", 80, extra={"address": "a"})
    logging.getLogger("httpx").info("each step")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("careful", stacklevel=1)
    first, second = lines(stream)
    assert (first["event"], first["logger"], first["address"]) == ("port 80", "uvicorn.error", "a")
    assert second["logger"] == "py.warnings"


@pytest.mark.parametrize("output", ["json", "console"])
def test_secrets_are_masked_at_any_depth(stream: io.StringIO, output: Any) -> None:
    configure_logs(output, "info", stream)
    structlog.get_logger().info(
        "x",
        password="hunter2",
        token="hunter2",
        private_key="hunter2",
        headers={"X-Auth-Token": "hunter2", "Authorization": "hunter2", "list": [{"api-key": "hunter2"}]},
        token_lifetime=5,
        show_private_key=True,
    )
    logging.getLogger("other").warning("y", extra={"x_subject_token": "hunter2"})
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("***") == 7
    # That is a switch, and whoever runs the service wants to know how it stands.
    assert "rue" in stream.getvalue()


@pytest.mark.parametrize("output", ["json", "console"])
def test_a_traceback_does_not_show_local_variables(stream: io.StringIO, output: Any) -> None:
    def fails(_password: str) -> None:
        raise ZeroDivisionError

    configure_logs(output, "info", stream)
    try:
        fails("hunter" + "2")
    except ZeroDivisionError:
        structlog.get_logger().exception("failed")
        logging.getLogger("other").exception("failed")
    assert stream.getvalue().count("ZeroDivisionError") >= 2
    assert "hunter2" not in stream.getvalue()


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(stream: io.StringIO) -> None:
    # Closing it fails, too.
    with suppress(OSError), Path("/dev/full").open("w") as full:
        configure_logs("json", "info", full)
        structlog.get_logger().error("lost")
        configure_logs("json", "info", stream)
        structlog.get_logger().error("written")
    assert [line["event"] for line in lines(stream)] == ["written"]


def test_less_important_messages_are_left_out(stream: io.StringIO) -> None:
    configure_logs("json", "warning", stream)
    structlog.get_logger().info("no")
    logging.getLogger("other").info("no")
    structlog.get_logger().warning("yes")
    assert [line["event"] for line in lines(stream)] == ["yes"]


def logged() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the package that writes to the log, with the file that it is in."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                where = ast.unparse(node.func.value)
                if where in {"log", "_log"} or "get_logger" in where:
                    yield str(path.relative_to(PACKAGE)), node


def test_events_are_names_and_their_reasons_have_one_name() -> None:
    events = [
        (where, text.value)
        for where, call in logged()
        for text in ast.walk(call.args[0])
        if isinstance(text, ast.Constant)
    ]
    assert len(events) > 50
    assert [each for each in events if not re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", str(each[1]))] == []
    assert [where for where, call in logged() for keyword in call.keywords if keyword.arg == "cause"] == []
