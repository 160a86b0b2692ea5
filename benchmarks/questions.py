"""The reports that `peers.py` measures, as bodies in which @START@ stands for the start of the interval."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

START = "@START@"
ZONE = "Europe/Helsinki"
_MIDNIGHT = datetime(2018, 12, 31, 22, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Question:
    """A report. `first` is the start of its interval; the requests of a run vary it by milliseconds."""

    name: str
    title: str
    first: datetime
    report: Mapping[str, Any]
    rows: int | None = None
    """How many rows a large answer has."""

    def body(self, start: str = START) -> str:
        """Return the JSON body of the report."""
        return json.dumps(self.report).replace(START, start)


def _interval(end: str) -> Mapping[str, str]:
    return {"start": START, "end": end, "time_zone": ZONE}


def _only(dimension: str, value: str) -> Mapping[str, str]:
    return {"type": "selector", "dimension": dimension, "value": value}


_COUNT = {"type": "count", "fields": ["count"]}
_VISITORS = {"type": "hyperUnique", "fields": ["visitor_ids"]}
_SALES = {"type": "sum", "fields": ["sales"]}

_SMALL = (
    Question(
        "example",
        "documented example",
        _MIDNIGHT,
        {
            "interval": _interval("2019-01-01T23:59:59.999+02:00"),
            "granularity": "all",
            "group_by": [],
            "aggregations": [_VISITORS],
            "filters": {
                "type": "and",
                "fields": [_only("scope", "org"), _only("chat_type", "visitor"), _only("chat_initiator", "visitor")],
            },
        },
    ),
    Question(
        "month",
        "a month by day, 3 metrics",
        _MIDNIGHT,
        {
            "interval": _interval("2019-02-01T00:00:00.000+02:00"),
            "granularity": "day",
            "group_by": [],
            "aggregations": [_COUNT, _VISITORS, _SALES],
            "filters": _only("scope", "org"),
        },
    ),
    Question(
        "users",
        "3 months by user and type",
        _MIDNIGHT,
        {
            "interval": _interval("2019-04-01T00:00:00.000+03:00"),
            "granularity": "all",
            "group_by": ["user_id", "chat_type"],
            "aggregations": [_COUNT, _VISITORS],
            "filters": _only("scope", "user"),
        },
    ),
)


def _large(rows: int) -> Question:
    return Question(
        f"rows-{rows}",
        f"{rows:,} rows",
        datetime(2018, 12, 14, 22, tzinfo=UTC),
        {
            "interval": _interval("2020-01-15T00:00:00.000+02:00"),
            "granularity": "all",
            "group_by": ["chat_session_id", "user_id", "team_id", "visitor_ids", "visitor_session_ids"],
            "aggregations": [_COUNT, _SALES],
            "filters": {"type": "not", "field": _only("chat_type", "task")},
            "limit": rows,
        },
        rows,
    )


ALL_QUESTIONS = (*_SMALL, _large(20_000), _large(100_000))
