"""The requests of callers: how often, for which organization, for which time. Pure; the same seed makes the same ones.

Organizations come in falling order of size, and as Zipf's law has it for their sizes (ingestion-specs/samples), so for
their requests: the n-th asks one n-th as often as the first.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from gateway.accounts.api_tokens import generate
from tests.load.scenario import Caller, Question

HELSINKI = ZoneInfo("Europe/Helsinki")
NEW_YEAR = date(2019, 1, 1)
DAYS = 365
"""The sample data has all of 2019."""
VARIANTS = 3
"""Number of different bodies per kind and organization, for example for different days."""

Body = Mapping[str, object]

_UNIQUE_VISITORS = {"type": "hyperUnique", "fields": ["visitor_ids"]}
_COUNT = {"type": "count"}


def _is(dimension: str, value: str) -> Body:
    return {"type": "selector", "dimension": dimension, "value": value}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of report, with its share of a hundred requests."""

    name: str
    share: int
    title: str
    body: Callable[[Random], Body]


def _documented_example(rng: Random) -> Body:
    day = NEW_YEAR + timedelta(days=rng.randrange(DAYS))
    first, last = (datetime.combine(day, of_day, HELSINKI) for of_day in (time(), time(23, 59, 59, 999_000)))
    filters = [_is("scope", "org"), _is("chat_type", "visitor"), _is("chat_initiator", "visitor")]
    return {
        "interval": {
            "start": first.isoformat(timespec="milliseconds"),
            "end": last.isoformat(timespec="milliseconds"),
            "time_zone": "Europe/Helsinki",
        },
        "granularity": "all",
        "group_by": [],
        "aggregations": [_UNIQUE_VISITORS],
        "filters": {"type": "and", "fields": filters},
    }


def _months(rng: Random, count: int) -> Body:
    first = rng.randrange(13 - count)
    start, end = (date(2019 + month // 12, month % 12 + 1, 1).isoformat() for month in (first, first + count))
    return {"start": start, "end": end, "time_zone": "Europe/Helsinki"}


def _month_by_day(rng: Random) -> Body:
    return {
        "interval": _months(rng, 1),
        "granularity": "day",
        "aggregations": [_COUNT, _UNIQUE_VISITORS, {"type": "sum", "fields": ["sales", "order_count"]}],
        "filters": _is("scope", "org"),
    }


def _visitors_by_type(rng: Random) -> Body:
    return {
        "interval": _months(rng, 3),
        "granularity": "month",
        "group_by": ["chat_type", "chat_initiator"],
        "aggregations": [{"type": "hyperUnique", "fields": ["visitor_ids", "chat_session_id"]}],
        "filters": _is("scope", "org"),
    }


def _users_of_a_month(rng: Random) -> Body:
    return {
        "interval": _months(rng, 1),
        "group_by": ["user_id"],
        "aggregations": [
            _COUNT,
            {"type": "avg", "fields": ["user_message_count"]},
            {"type": "sum", "fields": ["sales"]},
        ],
        "filters": _is("scope", "user"),
        "order_by": [{"column": "count", "direction": "descending"}],
        "limit": 20,
    }


def _large_group_by(rng: Random) -> Body:
    return {
        "interval": _months(rng, 12),
        "granularity": "day",
        "group_by": ["user_id", "room_ids", "chat_type"],
        "aggregations": [_COUNT, _UNIQUE_VISITORS],
        "filters": _is("scope", "user"),
    }


KINDS = (
    Kind("documented_example", 45, "the documented example, of any day", _documented_example),
    Kind("month_by_day", 25, "a month, day by day: count, visitors, sums", _month_by_day),
    Kind("visitors_by_type", 15, "group_by with hyperUnique, three months", _visitors_by_type),
    Kind("users_of_a_month", 8, "the 20 busiest users of a month", _users_of_a_month),
    Kind("large_group_by", 2, "a year by day, user, room and type", _large_group_by),
)
LARGEST = KINDS[-1].name
BAD_BODY = "bad_body"
BAD_BODY_SHARE = 5
WRONG_TOKEN = "wrong_token"
TITLES = {kind.name: kind.title for kind in KINDS} | {
    BAD_BODY: "bodies that are no report: 400",
    WRONG_TOKEN: "wrong tokens: 401",
}


def _bad_bodies(good: Body) -> Iterator[tuple[str, str]]:
    """Invalid bodies, each with the code of its error."""
    yield json.dumps(good)[:-1], "invalid_json"
    yield json.dumps({**good, "aggregations": [{"type": "hyperUnique", "fields": ["visitors"]}]}), "invalid_report"
    yield json.dumps({**good, "granularty": "day"}), "invalid_report"  # codespell:ignore granularty
    yield json.dumps({**good, "filters": {"type": "javascript", "function": "() => true"}}), "invalid_report"
    yield json.dumps({**good, "interval": {"start": "2019-02-01", "end": "2019-01-01"}}), "invalid_report"
    yield (
        json.dumps({**good, "interval": {"start": "2010-01-01", "end": "2019-12-31"}, "granularity": "minute"}),
        ("limit_exceeded"),
    )


def questions(callers: Sequence[Caller], seed: int) -> Iterator[Question]:
    """Return all reports and invalid bodies of all callers. Callers are in descending order of size."""
    rng = Random(f"{seed}/questions")
    for rank, caller in enumerate(callers, start=1):
        path, authorization = _path(caller), f"Token {caller.token}"
        for kind in KINDS:
            for _ in range(VARIANTS):
                weight = kind.share / rank / VARIANTS
                yield Question(kind.name, weight, path, authorization, json.dumps(kind.body(rng)))
        bad = tuple(_bad_bodies(_month_by_day(rng)))
        for body, code in bad:
            yield Question(BAD_BODY, BAD_BODY_SHARE / rank / len(bad), path, authorization, body, status=400, code=code)


def intrusions(callers: Sequence[Caller]) -> Iterator[Question]:
    """Return valid reports with invalid tokens: missing, malformed, unknown, and known with a wrong secret."""
    body = json.dumps(_month_by_day(Random(0)))
    prefix = callers[0].token[: len("gwt_12345678_")]
    made_up = generate().text
    for authorization in (
        "",
        "Token 1234",
        "Bearer 1234",
        f"Token {made_up}",
        f"Token {prefix}{made_up[len(prefix) :]}",
    ):
        yield Question(WRONG_TOKEN, 1, _path(callers[0]), authorization, body, status=401, code="unauthenticated")


def _path(caller: Caller) -> str:
    return f"/api/reporting/v1/orgs/{caller.organization_id}/chat_sessions"
