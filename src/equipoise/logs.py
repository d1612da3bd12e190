"""How the process writes its log: one line an event on standard error, structlog and the standard library alike."""

import logging
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK: Final = "***"
_SECRET_KEY: Final = re.compile(
    r"passw|secret|token(?!_lifetime)|(?<!show_)(private|access|api)_?key|authorization|signature|cookie|credential",
    re.IGNORECASE,
)
_SIMPLE: Final = frozenset({str, int, float, bool, type(None)})
"""Types of values that have nothing inside; most are, and looking further costs more than the rest of a line."""

_TOO_CHATTY: Final = ("alembic", "asyncio", "httpcore", "httpx", "uvicorn.access")
"""Loggers that tell of each step: from these only warnings are of interest."""


def configure_logs(
    output: Literal["json", "console"], level: Literal["debug", "info", "warning", "error"], stream: TextIO = sys.stderr
) -> None:
    """Send every log of the process to `stream`, in place of whatever was configured before.

    Start uvicorn with `log_config=None`: its own configuration would take its loggers away from here.

    Args:
        output: JSON lines, or text for people.
        level: the least important level that is written.
        stream: where to.
    """
    # Filled in for events of either origin, before the renderer.
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _add_time,
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    # Our own events are written straight away: the way through the standard library costs several times as much as
    # the line itself, and there is a line for every request and every transition of a job.
    structlog.configure(
        processors=[*common, _renderer(output)],
        logger_factory=lambda *names: _Lines(stream, *names),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(output)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(True)
    for name in _TOO_CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


class _Lines(structlog.WriteLogger):
    """Writes the lines of one logger, which `structlog.stdlib.add_logger_name` asks for its name."""

    def __init__(self, stream: TextIO, name: str = "equipoise") -> None:
        super().__init__(stream)
        self.name = name

    def msg(self, message: str) -> None:
        """Write a line. One that cannot be written, to a full disk for example, is lost: the service goes on."""
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of keys that look like secrets, at any depth. A guard; the rule is not to log them at all."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: object, value: object) -> object:
    if isinstance(key, str) and _is_secret(key):
        return MASK
    if type(value) in _SIMPLE:
        return value
    if isinstance(value, Mapping):
        return {inner: _masked(inner, content) for inner, content in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(None, content) for content in value]
    return value


@lru_cache(1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key.replace("-", "_")) is not None


def _add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """UTC with milliseconds, as in jobs: `2017-09-29T09:49:37.399Z`."""
    event["time"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _renderer(output: str) -> Processor:
    if output == "console":
        # The default formatter of exceptions shows local variables, and so passwords.
        return structlog.dev.ConsoleRenderer(
            colors=False, timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.processors.JSONRenderer(serializer=_to_json)


def _to_json(event: Any, **_options: Any) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()
