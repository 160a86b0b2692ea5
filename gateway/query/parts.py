"""How each part of a report's body is read, once the schema has accepted it."""

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from gateway.catalog.model import Dataset
from gateway.query.aggregations import AGGREGATIONS, Metric, rows_of
from gateway.query.filters import And, Filter, parse_filter
from gateway.query.intervals import Fixed, IntervalForm, form_of
from gateway.query.literals import Json
from gateway.query.post_aggregations import POST_AGGREGATIONS, PostAggregation
from gateway.query.report import Order, Top
from gateway.query.time import Interval
from gateway.query.validation_errors import pointer


def order_of(column: str, direction: str | None) -> Order:
    """Read one entry of order_by."""
    return Order(column, direction == "descending")


def top_of(body: Json) -> Top:
    """Read top."""
    by = order_of(body["by"], body.get("direction", "descending"))
    return Top(int(body["groups"]), by, body.get("other", False))


def interval_of(body: Json) -> IntervalForm:
    """Read interval."""
    return form_of(body).parse(body, ZoneInfo(body.get("time_zone", "UTC")))


def compared_with(to: str | Json, interval: IntervalForm) -> str | Interval:
    """Read the interval of compare, which may have a name."""
    return to if isinstance(to, str) else Fixed.parse(to, interval.zone).interval


def post_aggregations_of(body: Sequence[Json]) -> tuple[PostAggregation, ...]:
    """Read post_aggregations."""
    return tuple(POST_AGGREGATIONS[each["type"]].parse(each, index) for index, each in enumerate(body))


def metrics_of(body: list[Json], dataset: Dataset) -> tuple[Metric, ...]:
    """Read aggregations as columns."""
    return tuple(metric for index, each in enumerate(body) for metric in _columns(index, each, dataset))


def _columns(index: int, body: Json, dataset: Dataset) -> Iterator[Metric]:
    """Yield the columns of one aggregation, which is the index-th of its report."""
    aggregation = AGGREGATIONS[body["type"]]
    condition = parse_filter(body["filter"], dataset) if "filter" in body else None
    if aggregation.of_rows:
        name = body.get("name", aggregation.suffix(body))
        yield Metric(name, aggregation, rows_of(dataset), condition, pointer("aggregations", index))
        return
    parameters = tuple((key, body[key]) for key in aggregation.parameters)
    for position, field in enumerate(body["fields"]):
        name = body.get("name") or f"{field}_{aggregation.suffix(body)}"
        cause = pointer("aggregations", index, "fields", position)
        yield Metric(name, aggregation, dataset.by_name[field], condition, cause, parameters)


def filter_of(body: Json | list[Json] | None, dataset: Dataset) -> Filter | None:
    """Read filters."""
    if not body:
        return None
    if isinstance(body, dict):
        return parse_filter(body, dataset)
    fields = tuple(parse_filter(each, dataset) for each in body)
    return fields[0] if len(fields) == 1 else And(fields)
