"""Building blocks of the reports in the live tests."""

from collections.abc import Mapping
from typing import Any

from tests.serving import D, Gateway

Json = dict[str, Any]

ALL_TIME = {"start": "2018-12-01", "end": "2020-02-01", "time_zone": "Europe/Helsinki"}
NUMBERS = ("user_message_count", "visitor_message_count", "order_count", "sales", "subscription_sales")
COUNT: Json = {"type": "count"}
SUMS: Json = {"type": "sum", "fields": list(NUMBERS)}
AVERAGES: Json = {"type": "avg", "fields": list(NUMBERS)}
UNIQUES: Json = {"type": "hyperUnique", "fields": ["chat_session_id", "visitor_ids", "visitor_session_ids"]}


def report(*aggregations: Json, **keys: Any) -> Json:
    """Return a report over all time, which counts rows unless aggregations are given. `keys` are additional keys."""
    return {"interval": ALL_TIME, "aggregations": list(aggregations or [COUNT]), **keys}


def has(dimension: str, value: Any) -> Json:
    return {"type": "selector", "dimension": dimension, "value": value}


def one_of(dimension: str, *values: Any) -> Json:
    return {"type": "in", "dimension": dimension, "values": list(values)}


def no(field: Json) -> Json:
    return {"type": "not", "field": field}


def every(*fields: Json) -> Json:
    return {"type": "and", "fields": list(fields)}


def some(*fields: Json) -> Json:
    return {"type": "or", "fields": list(fields)}


def bound(dimension: str, **keys: Any) -> Json:
    return {"type": "bound", "dimension": dimension, **keys}


ORG = has("scope", "org")


def numbers(gateway: Gateway, body: Json, *, organization: str = D, caller: str | None = None) -> list[Any]:
    """Return the metrics of a report with one row."""
    [[_, *metrics]] = gateway.post(body, organization=organization, caller=caller).data
    return metrics


def groups(gateway: Gateway, body: Json, *, organization: str = D, caller: str | None = None) -> list[list[Any]]:
    """Return the rows of a report without start_time."""
    return [row[1:] for row in gateway.post(body, organization=organization, caller=caller).data]


def buckets(gateway: Gateway, start: str, end: str, zone: str, granularity: str, **keys: Any) -> Mapping[str, int]:
    """Return the number of D's `org` rows in each bucket by its start_time, in the order of the response."""
    interval = {"start": start, "end": end, "time_zone": zone}
    body = report(interval=interval, granularity=granularity, filters=ORG, **keys)
    rows = gateway.post(body).data
    counts = dict(rows)
    assert len(counts) == len(rows), f"a bucket is there twice: {rows}"
    return counts
