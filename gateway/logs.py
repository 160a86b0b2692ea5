"""Logging: one structlog event a line, JSON for programs and text for a person at a terminal."""

import logging
import sys
from typing import Literal

import orjson
import structlog
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import Processor


def configure_logging(log_format: Literal["auto", "json", "text"]) -> None:
    """Send every log line, also those of libraries, to standard error in this form."""
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Processor] = (
        [structlog.dev.ConsoleRenderer()]
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
    logging.getLogger("aiohttp.server").addFilter(_without_quotations)


def _without_quotations(record: logging.LogRecord) -> bool:
    """Keep the line about a request that is no HTTP, but not its text: it quotes the request, credentials and all."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.exc_info = None
        # The caller's fault, and on a public address an everyday one.
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg = "Not an HTTP request, from %s"
    return True


def _json(event: object, **_: object) -> str:
    return orjson.dumps(event, default=repr).decode()
