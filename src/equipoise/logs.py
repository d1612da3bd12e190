"""How the process writes its log: one line an event on standard error, structlog and the standard library alike."""

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK: Final = "***"
_SECRET_KEY: Final = re.compile(
    r"passw|secret|token(?!_lifetime)|(private|access|api)_?key|authorization|signature|cookie|credential",
    re.IGNORECASE,
)
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
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *common,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
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


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the values of keys that look like secrets, at any depth. A guard; the rule is not to log them at all."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: object, value: object) -> object:
    if isinstance(key, str) and _SECRET_KEY.search(key.replace("-", "_")):
        return MASK
    if isinstance(value, Mapping):
        return {inner: _masked(inner, content) for inner, content in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(None, content) for content in value]
    return value


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
