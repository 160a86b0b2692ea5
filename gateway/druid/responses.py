"""What Druid's responses say beside rows: the time that no server has data for, and what went wrong.

https://druid.apache.org/docs/33.0.0/querying/troubleshooting and …/querying/query-context describe both.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson
import structlog

from gateway.druid.api.http import ACCESS_DENIED
from gateway.druid.intervals import TimeRange
from gateway.errors import (
    RETRY_SOON,
    DataUnavailable,
    DeadlineExceeded,
    DruidBusy,
    DruidUnavailable,
    GatewayError,
    InternalError,
    InvalidDruidResponse,
    ReportTooLarge,
)
from gateway.query.filters import caller_values

_LARGEST_ERROR = 1 << 16
"""Bytes of an error that is read, and of a query for which its message is logged: larger ones repeat many values."""
_LONGEST_TEXT = 2_000
_WORD = re.compile(r"\w{4,}")
_TIMEOUT_LIMIT = re.compile(r"Configured timeout = \d+ is more than enforced limit of ([1-9]\d{3,17})\.")
"""Druid's whole message, so that no text of a caller that it repeats is one; and no limit below a second."""

_log = structlog.get_logger(__name__)


_ERRORS: Mapping[int, tuple[type[GatewayError], str, Mapping[str, str]]] = {
    400: (InternalError, "The report could not be computed.", {}),
    429: (DruidBusy, "Too many reports are running. Retry later.", RETRY_SOON),
    503: (DruidUnavailable, "The database is not available.", RETRY_SOON),
    504: (DeadlineExceeded, "The report took too long. Choose a shorter interval, or filter more.", {}),
}
"""What the status of Druid's response means to the caller."""


class TimeoutAboveLimit(Exception):
    """Druid rejected the query: its timeout is above `druid.server.http.maxQueryTimeout`, which is `limit` ms."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class SegmentsMissing(InvalidDruidResponse):
    """A server did not have a segment any more that the broker expected there."""


def version_in(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the version of the segments that a response comes from, if Druid gives one."""
    etag = headers.get(b"etag")
    return None if etag is None else etag.decode("latin-1")


def uncovered_in(headers: Mapping[bytes, bytes]) -> tuple[TimeRange, ...] | None:
    """Return the time for which Druid says it had no data; None if it does not say, or does not list all of it.

    Raises DataUnavailable if Druid says that it missed segments.
    """
    header = headers.get(b"x-druid-response-context")
    return None if header is None else _uncovered(header)


# Almost every response names the same time: the probe of the completeness check.
@lru_cache(maxsize=256)
def _uncovered(header: bytes) -> tuple[TimeRange, ...] | None:
    try:
        context = orjson.loads(header)
        missing = context.get("missingSegments")
    except (ValueError, AttributeError):
        return None
    if missing:
        _log.error("data_unavailable", missing_segments=len(missing) if isinstance(missing, list) else "unknown")
        raise DataUnavailable("Some data is not available at the moment. Retry soon.", headers=RETRY_SOON)
    try:
        # `truncated`: the header became too long, for whatever reason, and lists were cut short.
        if context["uncoveredIntervalsOverflowed"] or context.get("truncated"):
            return None
        return tuple(map(TimeRange.parse, context["uncoveredIntervals"]))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def error_in(status: int, raw: bytearray, query: bytes) -> Exception:
    """Return what a response other than 200 means to the caller. Druid's own message goes to the log only."""
    try:
        told = orjson.loads(raw) if len(raw) <= _LARGEST_ERROR else {}
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    reason, error_class, message = told.get("error"), told.get("errorClass"), str(told.get("errorMessage"))
    if status == 400 and (limit := _TIMEOUT_LIMIT.fullmatch(message)):
        return TimeoutAboveLimit(int(limit[1]))
    shown = _redacted({"error": reason, "error_class": error_class, "message": message}, query)
    if status in ACCESS_DENIED:
        # Often an HTML page of a proxy, which says nothing about the reason.
        shown |= {"error": "access denied", "message": ACCESS_DENIED[status]}
    _log.error("druid_rejected_query", druid_status=status, **shown)
    if status == 400 and reason == "Resource limit exceeded":
        return ReportTooLarge(
            "The report needs more memory than one report may have. Group by fewer dimensions, filter more, or choose "
            "a shorter interval."
        )
    if str(error_class).endswith("SegmentMissingException") or message.startswith("No results found for seg"):
        return SegmentsMissing("The database could not answer.")
    kind, detail, headers = _ERRORS.get(status, (InvalidDruidResponse, "The database could not answer.", {}))
    return kind(detail, headers=headers)


def _redacted(told: Mapping[str, object], query: bytes) -> dict[str, str | None]:
    """Return the beginnings of Druid's texts without what the caller wrote: Druid may repeat values and names.

    It may write them with escapes of its own, so that each of their words is removed, too.
    """
    if len(query) > _LARGEST_ERROR:
        return dict.fromkeys(told, "…")
    native = orjson.loads(query)
    values = sorted({*caller_values(native)} - {""}, key=len, reverse=True)
    texts = [*values, *_names(native)]
    words = set(_WORD.findall(" ".join((*texts, json.dumps(texts), json.dumps(texts, ensure_ascii=False)))))

    def without(text: str) -> str:
        if len(text) > _LONGEST_TEXT:
            # Without the last word, which may be the beginning of one of theirs.
            text = re.sub(r"(?<!\w)\w*+\Z", "…", text[:_LONGEST_TEXT], count=1)
        for value in values:
            text = text.replace(value, "…")
        return _WORD.sub(lambda found: "…" if found[0] in words else found[0], text)

    return {key: None if text is None else without(str(text)) for key, text in told.items()}


def _names(native: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of a query's numbers, which callers choose."""
    for each in (*native.get("aggregations", ()), *native.get("postAggregations", ())):
        yield str(each.get("name") or each.get("aggregator", {}).get("name", ""))
