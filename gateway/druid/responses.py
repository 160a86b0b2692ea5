"""What Druid's answers say beside rows: which time nobody served, and what went wrong.

https://druid.apache.org/docs/33.0.0/querying/troubleshooting and …/querying/query-context describe both.
"""

from collections.abc import Iterator, Mapping

import orjson
import structlog

from gateway.druid.stretches import Stretch, parse_stretch
from gateway.errors import (
    RETRY_SOON,
    DeadlineExceeded,
    DruidBusy,
    DruidUnavailable,
    GatewayError,
    InternalError,
    InvalidDruidResponse,
    ReportTooLarge,
)
from gateway.query.literals import Json

log = structlog.get_logger(__name__)

_COMPARES = frozenset({"value", "values", "matchValue", "lower", "upper", "pattern"})


def uncovered(headers: Mapping[str, str]) -> tuple[Stretch, ...] | None:
    """Return what Druid says it had no data for; None where it says nothing, or not all of it."""
    try:
        context = orjson.loads(headers["X-Druid-Response-Context"])
        # `truncated`: the header became too long, of whatever else, and lists were cut short.
        if context["uncoveredIntervalsOverflowed"] or context.get("truncated"):
            return None
        return tuple(parse_stretch(each) for each in context["uncoveredIntervals"])
    except (KeyError, ValueError, TypeError):
        return None


def refusal(status: int, raw: bytearray, native: Json) -> GatewayError:
    """Return what an answer that is no 200 means to the caller; Druid's own words go to the log alone."""
    try:
        told = orjson.loads(raw)
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    reason, message = told.get("error"), str(told.get("errorMessage"))
    for value in _compared(native):
        # Druid may repeat what a caller filtered by, and no log holds that.
        message = message.replace(value, "…")
    log.error("druid_refused", druid_status=status, error=reason, error_class=told.get("errorClass"), message=message)
    match status:
        case 400 if reason == "Resource limit exceeded":
            return ReportTooLarge(
                "The report needs more memory than one report may have. Group by fewer dimensions, filter more, or ask "
                "for a shorter interval."
            )
        case 400:
            return InternalError("The report could not be computed.")
        case 429:
            return DruidBusy("Too many reports are running. Ask again later.", headers=RETRY_SOON)
        case 503:
            return DruidUnavailable("The database is not available.", headers=RETRY_SOON)
        case 504:
            return DeadlineExceeded("The report took too long. Ask for a shorter interval, or filter more.")
        case _:
            return InvalidDruidResponse("The database could not answer.")


def _compared(node: object) -> Iterator[str]:
    """Yield every text that a part of a native query compares with."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in _COMPARES:
                found = value if isinstance(value, list) else [value]
                yield from (each for each in found if isinstance(each, str) and each)
            else:
                yield from _compared(value)
    elif isinstance(node, list):
        for each in node:
            yield from _compared(each)
