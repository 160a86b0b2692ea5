"""Logging: one structlog event per line, as JSON for programs or as text for a person at a terminal."""

import logging
import sys
from typing import Literal

import orjson
import structlog
from structlog.typing import Processor

from gateway.telemetry.tracing import with_trace_id


def configure_logging(log_format: Literal["auto", "json", "text"]) -> None:
    """Write every log event, also those of libraries, to standard error in this format."""
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        with_trace_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Processor] = (
        # By default it shows all local variables, which takes a second and reveals credentials and filter values.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    )
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render]
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _json(event: object, **_: object) -> str:
    return orjson.dumps(event, default=repr).decode()
