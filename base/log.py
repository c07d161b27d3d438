"""Structured logs: one line per event on stderr, for people or as JSON.

Messages of other libraries (uvicorn, alembic) pass through the same renderer. Values that must not
be logged: passwords, tokens, document contents.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Literal

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

Logger = structlog.stdlib.BoundLogger

_BEFORE: Sequence[structlog.types.Processor] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)


# A trace with the values of local variables would print the password of whoever was signing in.
_TRACES_AS_DATA = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["console", "json"] = "console",  # noqa: A002 (the setting's own name)
) -> None:
    """Send everything at `level` and above to stderr. Call once, at the start of a command."""
    last: list[structlog.types.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]
    if format == "json":
        last += [_TRACES_AS_DATA, structlog.processors.JSONRenderer()]
    else:
        last.append(
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
            )
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_BEFORE, processors=last)
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # It tells every step at "info"; what concerns an operator we say ourselves.
    logging.getLogger("alembic").setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_BEFORE,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get(name: str) -> Logger:
    """The logger of a module: `log.get(__name__).info("room_opened", room=…)`."""
    return structlog.stdlib.get_logger(name)
