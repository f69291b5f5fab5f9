"""Structured logs: a line is an event with fields; tenant and run are on every line of their work."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

__all__ = ["bound", "configure_logs", "get_logger"]

_SECRET_FIELDS = ("password", "token", "secret", "private_key", "authorization", "cookie")


def get_logger(name: str) -> FilteringBoundLogger:
    """The logger of a part of the product, such as `intake`. Call as `log.info("file taken", file=..., rows=...)`."""
    logger: FilteringBoundLogger = structlog.get_logger(part=name)
    return logger


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Within, each line carries these fields, such as tenant and run."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def _hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for field in event:
        if any(word in field.lower() for word in _SECRET_FIELDS):
            event[field] = "(hidden)"
    return event


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace"] = f"{context.trace_id:032x}"
    return event


def configure_logs(form: Literal["json", "text"] = "text", level: str = "INFO", **always: Any) -> None:
    """Set up logs of this process on stderr; `always` are fields on each line, such as process=worker.

    Libraries that use the standard logging come out in the same form.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _add_trace,
        _hide_secrets,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=32)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**always)
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer] if form == "json" else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        # Looked up at each line: who replaces stderr later (a test, a supervisor) gets what is written from then on.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
