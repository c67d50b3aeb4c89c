"""Log lines: for people on a terminal, as JSON for machines, to stderr; without secrets.

structlog and the standard library's logging (librdkafka, other libraries) end in one handler, so a
process has one format and one level.
"""

import logging
import sys
import threading
from collections.abc import Iterable
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

MASK = "***"
_SECRET_KEYS = ("password", "secret", "token", "credential")

_secrets: set[str] = set()
_secrets_lock = threading.Lock()


# The time of a line is `time`: `timestamp` is an observation time, here as everywhere.
_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.StackInfoRenderer(),
)


class _Handler(logging.Handler):
    """Ours. Without a stream of its own it writes to whatever stderr is at the time."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=self._stream or sys.stderr, flush=True)
        except Exception:  # noqa: BLE001  logging's own way: a line that can't be written stops nothing
            self.handleError(record)


def hide_secrets(secrets: Iterable[str]) -> None:
    """Have these texts masked wherever they appear in a log line of this process."""
    with _secrets_lock:
        _secrets.update(secret for secret in secrets if secret)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask secrets: values whose key says that they are one, and texts that hold a known one."""
    for key, value in event.items():
        if any(part in key.lower() for part in _SECRET_KEYS):
            event[key] = MASK
        elif isinstance(value, str):
            event[key] = _masked(value)
    return event


def _masked(text: str) -> str:
    for secret in tuple(_secrets):
        text = text.replace(secret, MASK)
    return text


def configure_logs(level: str = "info", log_format: str = "auto", stream: TextIO | None = None) -> None:
    """Set up the logs of this process. May be called again; the last call counts.

    Args:
        level: 'debug', 'info', 'warning' or 'error'.
        log_format: 'console', 'json', or 'auto': console where the stream is a terminal.
        stream: where to write; stderr by default, so that stdout holds a command's results alone.
    """
    terminal = (stream or sys.stderr).isatty()
    console = log_format == "console" or (log_format == "auto" and terminal)
    ending: list[Processor]
    if console:
        # Plain tracebacks: the rich ones print local variables, which may hold secrets.
        # Formatted before they are masked: a secret can be in the text of an exception.
        ending = [
            structlog.processors.format_exc_info,
            redact,
            structlog.dev.ConsoleRenderer(
                colors=terminal, timestamp_key="time", exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    else:
        ending = [
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(default=str),
        ]
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)  # Python's warnings are lines like any others


def get_logger(name: str) -> FilteringBoundLogger:
    """A structlog logger; events are words, facts are keyword arguments.

    It ends in the standard library's logging and leaves structlog's global configuration alone: in a
    notebook or in TraP, which never call `configure_logs`, it behaves as any library's logger.
    """
    logger: Any = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, *_SHARED, _hand_over],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )
    return logger  # type: ignore[no-any-return]


_as_text = structlog.processors.KeyValueRenderer(key_order=["event"], drop_missing=True)


def _hand_over(logger: WrappedLogger, method: str, event: EventDict) -> Any:
    """To our handler as it is; to anybody else's as a line of text."""
    if any(isinstance(each, _Handler) for each in logging.getLogger().handlers):
        return structlog.stdlib.ProcessorFormatter.wrap_for_formatter(logger, method, event)
    for key in ("logger", "level", "time"):  # the record has these itself
        event.pop(key, None)
    exc_info = event.pop("exc_info", None)
    text = str(event.pop("event", ""))
    facts = _as_text(logger, method, redact(logger, method, event))
    return (f"{text} {facts}".rstrip(),), {"exc_info": exc_info}
