"""From a body to a Report: either every name resolved, or every problem at once."""

from collections.abc import Iterator
from itertools import islice
from zoneinfo import ZoneInfo

from gateway.catalog.model import Dataset
from gateway.errors import InvalidReport, Problem
from gateway.query.aggregations import AGGREGATIONS, Metric, rows_of
from gateway.query.buckets import GRANULARITIES
from gateway.query.complexity import oversize
from gateway.query.default_filters import with_default_filters
from gateway.query.filters import And, Filter, parse_filter
from gateway.query.literals import Json
from gateway.query.report import START_TIME, Having, Order, Report
from gateway.query.schema import ReportSchema
from gateway.query.time import Interval, format_moment, parse_timestamp
from gateway.query.validation_errors import MAX_PROBLEMS, Suggestions, pointer, quote


def parse(body: object, schema: ReportSchema) -> Report:
    """Return the report that the body describes; raises InvalidReport with every problem."""
    too_large = list(oversize(body, schema.limits))
    near = Suggestions()
    problems = too_large or list(schema.problems(body, near))
    if isinstance(body, dict) and not too_large and len(problems) < MAX_PROBLEMS:
        # Contradictions are searched in every valid part. With MAX_PROBLEMS the list may be cut, so no part is known to
        # be valid.
        wrong = {problem.pointer.split("/")[1] for problem in problems if problem.pointer}
        contradictions = _contradictions(body, body.keys() - wrong, schema.dataset, near)
        problems += islice(contradictions, MAX_PROBLEMS - len(problems))
    if problems:
        count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
        raise InvalidReport(f"The report has {count}. Fix the fields listed in errors.", problems=problems)
    assert isinstance(body, dict)  # noqa: S101 - the schema requires it
    return _report(body, schema.dataset)


def _report(body: Json, dataset: Dataset) -> Report:
    report = Report(
        interval=_interval(body["interval"]),
        granularity=GRANULARITIES.get(body.get("granularity", "all")),
        group_by=tuple(dataset.by_name[name] for name in body.get("group_by", ())),
        metrics=_metrics(body["aggregations"], dataset),
        filter=_filter(body.get("filters"), dataset),
        having=tuple(Having(each["type"], each["metric"], each["value"]) for each in body.get("having", ())),
        order_by=tuple(
            Order(each["column"], each.get("direction") == "descending") for each in body.get("order_by", ())
        ),
        limit=int(body["limit"]) if "limit" in body else None,
        totals=body.get("totals", False),
    )
    return with_default_filters(report, dataset)


def _interval(body: Json) -> Interval:
    zone = ZoneInfo(body.get("time_zone", "UTC"))
    return Interval(parse_timestamp(body["start"], zone), parse_timestamp(body["end"], zone, end=True), zone)


def _metrics(body: list[Json], dataset: Dataset) -> tuple[Metric, ...]:
    return tuple(metric for index, each in enumerate(body) for metric in _columns(index, each, dataset))


def _columns(index: int, body: Json, dataset: Dataset) -> Iterator[Metric]:
    """Yield the columns of one aggregation, which is the index-th of its report."""
    aggregation = AGGREGATIONS[body["type"]]
    condition = parse_filter(body["filter"], dataset) if "filter" in body else None
    if aggregation.of_rows:
        name = body.get("name", aggregation.suffix)
        yield Metric(name, aggregation, rows_of(dataset), condition, pointer("aggregations", index))
        return
    for position, field in enumerate(body["fields"]):
        name = body.get("name") or f"{field}_{aggregation.suffix}"
        cause = pointer("aggregations", index, "fields", position)
        yield Metric(name, aggregation, dataset.by_name[field], condition, cause)


def _filter(body: Json | list[Json] | None, dataset: Dataset) -> Filter | None:
    if not body:
        return None
    if isinstance(body, dict):
        return parse_filter(body, dataset)
    fields = tuple(parse_filter(each, dataset) for each in body)
    return fields[0] if len(fields) == 1 else And(fields)


def _contradictions(body: Json, valid: set[str], dataset: Dataset, near: Suggestions) -> Iterator[Problem]:
    """Yield what is wrong between values that are valid by themselves, in the `valid` parts of a body."""
    if "interval" in valid:
        interval = _interval(body["interval"])
        if interval.start >= interval.end:
            start, end = (format_moment(moment, interval.zone) for moment in (interval.start, interval.end))
            yield Problem("/interval", f"must end after it starts: {start} to {end} is empty")
    if "aggregations" in valid and ("group_by" in valid or "group_by" not in body):
        yield from _wrong_columns(body, valid, dataset, near)


def _wrong_columns(body: Json, valid: set[str], dataset: Dataset, near: Suggestions) -> Iterator[Problem]:
    groups: list[str] = body.get("group_by", [])
    metrics = [metric.name for metric in _metrics(body["aggregations"], dataset)]
    seen: set[str] = set()
    for name in (START_TIME, *groups, *metrics):
        if name in seen:
            yield Problem("/group_by" if name in groups else "/aggregations", f"the column {name} occurs twice")
        seen.add(name)
    columns = {"having": ("metric", metrics), "order_by": ("column", [START_TIME, *groups, *metrics])}
    for part in (part for part in columns if part in valid):
        key, names = columns[part]
        for index, each in enumerate(body[part]):
            found = each[key]
            if found not in names:
                known = ", ".join(dict.fromkeys(names))
                message = f"{quote(found)} is no {key} of this report{near.nearest(found, names)}; one of: {known}"
                yield Problem(pointer(part, index, key), message)
