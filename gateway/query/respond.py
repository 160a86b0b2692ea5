"""From Druid's rows to the answer: columns in the request's order, every bucket of a report without groups."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from operator import eq, ge, gt, itemgetter, le, lt
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from gateway.errors import InvalidDruidResponse, LimitExceeded
from gateway.query.aggregations import Metric, Number
from gateway.query.compile import DruidQuery
from gateway.query.plan import Plan
from gateway.query.report import START_TIME, Comparison, Having, Order
from gateway.query.time import EPOCH, format_moment

Row = list[Any]
"""One row of the answer: start_time, the dimensions, the metrics."""

Bucket = tuple[int, list[Number | None]]
"""A bucket of a report without groups: its label or its start, and its metrics."""

_MATCHES: Mapping[Comparison, Callable[[Number, Number], bool]] = MappingProxyType(
    {"equalTo": eq, "greaterThan": gt, "greaterThanOrEqualTo": ge, "lessThan": lt, "lessThanOrEqualTo": le}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The columns' names, each with its type ("dimension" or "metric"), the rows, and the totals where asked for.

    Rows are made as they are read, so that a large answer can be written in slices. Reading them raises
    InvalidDruidResponse where Druid's are not what was asked for: nothing may be sent before the last one was read.
    """

    fields: tuple[tuple[str, str], ...]
    rows: Iterator[Row]
    totals: Row | None = None


def respond(plan: Plan, query: DruidQuery, rows: Sequence[Any], totals: Sequence[Any] | None = None) -> Answer:
    """Return the answer that Druid's rows for the query (and for the totals) make.

    Raises LimitExceeded where there are more rows than an answer may have, InvalidDruidResponse as Answer says.
    """
    report = plan.report
    dimensions = [START_TIME, *(dimension.name for dimension in report.group_by)]
    fields = (*((name, "dimension") for name in dimensions), *((metric.name, "metric") for metric in report.metrics))
    total = None if totals is None else _totals(plan, totals)
    if not report.group_by:
        return Answer(fields, _without_groups(plan, query, rows), total)
    if len(rows) > plan.row_limit:
        raise LimitExceeded(
            f"The answer has more than {plan.row_limit} rows. Group by fewer dimensions, filter more, or ask for a "
            "shorter interval, a coarser granularity or the first rows alone (limit)."
        )
    return Answer(fields, _with_groups(plan, query, rows), total)


def read_time_range(rows: Sequence[Any]) -> tuple[str, str] | None:
    """Return the first and the last moment with a row, in UTC, from the answer to compile_time_range; None: no rows."""
    try:
        found = rows[0]["result"] if rows else {"rows": 0}
        return (_utc(found["first"]), _utc(found["last"])) if found["rows"] else None
    except (KeyError, TypeError, OverflowError) as error:
        raise InvalidDruidResponse("The database answered with rows of another shape.") from error


def _utc(moment: int) -> str:
    return format_moment(moment, ZoneInfo("UTC"))


def _with_groups(plan: Plan, query: DruidQuery, rows: Sequence[Any]) -> Iterator[Row]:
    metrics = plan.report.metrics
    names = [*(dimension.name for dimension in plan.report.group_by), *(metric.name for metric in metrics)]
    pick = _picker(query, names)
    keys = len(plan.report.group_by)
    zone = plan.report.interval.zone
    # Few buckets, many rows: each start is written out once.
    starts = lru_cache(lambda start: format_moment(start, zone))
    first = plan.report.interval.start
    by_label = {} if plan.buckets is None else dict(zip(plan.buckets.labels, plan.buckets.starts, strict=True))
    for row in rows:
        values = pick(row)
        start = first if plan.buckets is None else _start(by_label, row[0])
        yield [starts(start), *values[:keys], *map(_read, metrics, values[keys:])]


def _without_groups(plan: Plan, query: DruidQuery, rows: Sequence[Any]) -> Iterator[Row]:
    report = plan.report
    found: Iterator[Bucket] = _filled(plan, _labelled(plan, query, rows))
    if report.having:
        position = {metric.name: index for index, metric in enumerate(report.metrics)}
        found = (
            each for each in found if all(_meets(having, each[1][position[having.metric]]) for having in report.having)
        )
    if report.order_by:
        found = iter(_ordered(plan, found))
    for count, (start, values) in enumerate(found):
        if count == report.limit:
            return
        yield [format_moment(start, report.interval.zone), *values]


def _labelled(plan: Plan, query: DruidQuery, rows: Sequence[Any]) -> Iterator[Bucket]:
    """Yield the label and the metrics of each bucket that Druid answered with."""
    metrics = plan.report.metrics
    if not plan.groups:
        yield from _timeseries_rows(plan, rows)
        return
    pick = _picker(query, [metric.name for metric in metrics])
    for row in rows:
        values = pick(row)
        yield row[0], list(map(_read, metrics, values))


def _timeseries_rows(plan: Plan, rows: Sequence[Any]) -> Iterator[Bucket]:
    metrics = plan.report.metrics
    names = [metric.name for metric in metrics]
    for row in rows:
        try:
            label = (datetime.fromisoformat(row["timestamp"]) - EPOCH) // timedelta(milliseconds=1)
            values = [row["result"][name] for name in names]
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidDruidResponse("The database answered with rows of another shape.") from error
        yield label, list(map(_read, metrics, values))


def _filled(plan: Plan, found: Iterator[Bucket]) -> Iterator[Bucket]:
    """Yield every bucket of the interval in order, those that Druid left out as empty ones."""
    if plan.buckets is None:
        yield from _whole(plan, found)
        return
    empty = _empty(plan)
    following = next(found, None)
    for label, start in zip(plan.buckets.labels, plan.buckets.starts, strict=True):
        if following is not None and following[0] == label:
            yield start, following[1]
            following = next(found, None)
        else:
            yield start, empty
    if following is not None:
        raise InvalidDruidResponse("The database answered with a bucket that is not in the interval.")


def _whole(plan: Plan, found: Iterator[Bucket]) -> Iterator[Bucket]:
    """Yield the one bucket of granularity `all`; Druid names it after its first row, or leaves it out."""
    values = [values for _, values in found]
    if len(values) > 1:
        raise InvalidDruidResponse("The database answered with more than one row for one bucket.")
    yield plan.report.interval.start, values[0] if values else _empty(plan)


def _empty(plan: Plan) -> list[Number | None]:
    return [metric.aggregation.empty for metric in plan.report.metrics]


def _totals(plan: Plan, rows: Sequence[Any]) -> Row:
    ((start, values),) = _whole(plan, _timeseries_rows(plan, rows))
    return [format_moment(start, plan.report.interval.zone), *(None for _ in plan.report.group_by), *values]


def _picker(query: DruidQuery, names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    positions = [query.columns.index(name) for name in names]
    width = len(query.columns)
    # itemgetter of one position gives a value and not a tuple; the label, always there or not, is read apart.
    get = itemgetter(*positions) if len(positions) > 1 else lambda row: (row[positions[0]],)

    def pick(row: Any) -> tuple[Any, ...]:  # noqa: ANN401 - whatever Druid answered
        if not isinstance(row, list) or len(row) != width:
            raise InvalidDruidResponse("The database answered with rows of another shape.")
        values: tuple[Any, ...] = get(row)
        return values

    return pick


def _start(by_label: Mapping[int, int], label: object) -> int:
    if not isinstance(label, int) or label not in by_label:
        raise InvalidDruidResponse("The database answered with a bucket that is not in the interval.")
    return by_label[label]


def _read(metric: Metric, value: object) -> Number | None:
    if value is None:
        return metric.aggregation.empty
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidDruidResponse(f"The database answered with something else than a number for {metric.name}.")
    return float(value) if metric.aggregation.result == "float" else int(value)


def _meets(having: Having, value: Number | None) -> bool:
    return value is not None and _MATCHES[having.comparison](value, having.value)


def _ordered(plan: Plan, found: Iterator[Bucket]) -> list[Bucket]:
    ordered = list(found)
    position = {metric.name: index for index, metric in enumerate(plan.report.metrics)}

    def key(order: Order) -> Callable[[Bucket], tuple[bool, Number]]:
        if order.column == START_TIME:
            return lambda bucket: (True, bucket[0])
        index = position[order.column]
        return lambda bucket: (False, 0) if (value := bucket[1][index]) is None else (True, value)

    # Sorting is stable: the last key first.
    for order in reversed(plan.report.order_by):
        ordered.sort(key=key(order), reverse=order.descending)
    return ordered
