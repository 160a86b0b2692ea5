"""From a body to a Report: every problem at once, or every name resolved."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from gateway.catalog.model import Dataset
from gateway.errors import InvalidReport, Problem
from gateway.query.aggregations import AGGREGATIONS, ROWS, Metric
from gateway.query.complexity import oversize
from gateway.query.filters import And, Filter, parse_filter
from gateway.query.literals import Json
from gateway.query.report import START_TIME, Having, Order, Report
from gateway.query.schema import ReportSchema
from gateway.query.time import GRANULARITIES, Interval, format_moment, parse_timestamp
from gateway.query.validation_errors import MOST, nearest, pointer, shown


def parse(body: object, schema: ReportSchema) -> Report:
    """Return the report that the body asks for; raises InvalidReport with every problem it has."""
    too_large = list(oversize(body, schema.limits))
    problems = too_large or list(schema.problems(body))
    if isinstance(body, dict) and not too_large and len(problems) < MOST:
        # What no single value shows is looked for wherever the shape is right; of MOST problems or more nobody knows
        # where that is.
        wrong = {problem.pointer.split("/")[1] for problem in problems if problem.pointer}
        problems += _contradictions(body, body.keys() - wrong, schema)
    if problems:
        count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
        raise InvalidReport(f"The report has {count}: see errors.", problems=problems[:MOST])
    assert isinstance(body, dict)  # noqa: S101 - the schema has seen to it
    return _report(body, schema.dataset)


def _report(body: Json, dataset: Dataset) -> Report:
    return Report(
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


def _interval(body: Json) -> Interval:
    zone = ZoneInfo(body.get("time_zone", "UTC"))
    return Interval(parse_timestamp(body["start"], zone), parse_timestamp(body["end"], zone, end=True), zone)


def _metrics(body: list[Json], dataset: Dataset) -> tuple[Metric, ...]:
    metrics = []
    for each in body:
        aggregation = AGGREGATIONS[each["type"]]
        condition = parse_filter(each["filter"], dataset) if "filter" in each else None
        if aggregation.of_rows:
            metrics.append(Metric(each.get("name", aggregation.suffix), aggregation, ROWS, condition))
        else:
            metrics += [
                Metric(
                    each.get("name") or f"{field}_{aggregation.suffix}", aggregation, dataset.by_name[field], condition
                )
                for field in each["fields"]
            ]
    return tuple(metrics)


def _filter(body: Json | list[Json] | None, dataset: Dataset) -> Filter | None:
    if not body:
        return None
    if isinstance(body, dict):
        return parse_filter(body, dataset)
    fields = tuple(parse_filter(each, dataset) for each in body)
    return fields[0] if len(fields) == 1 else And(fields)


def _contradictions(body: Json, sound: set[str], schema: ReportSchema) -> Iterator[Problem]:
    """Yield what is wrong between values that are each right, in the `sound` parts of a body."""
    if "interval" in sound:
        interval = _interval(body["interval"])
        if interval.start >= interval.end:
            start, end = (format_moment(moment, interval.zone) for moment in (interval.start, interval.end))
            yield Problem("/interval", f"must end after it starts: {start} to {end} holds no time")
    if "aggregations" in sound and ("group_by" in sound or "group_by" not in body):
        yield from _wrong_columns(body, sound, schema.dataset)


def _wrong_columns(body: Json, sound: set[str], dataset: Dataset) -> Iterator[Problem]:
    groups: list[str] = body.get("group_by", [])
    metrics = [metric.name for metric in _metrics(body["aggregations"], dataset)]
    seen: set[str] = set()
    for name in (START_TIME, *groups, *metrics):
        if name in seen:
            yield Problem("/group_by" if name in groups else "/aggregations", f"the column {name} is there twice")
        seen.add(name)
    known = {"having": ("metric", metrics), "order_by": ("column", [START_TIME, *groups, *metrics])}
    for part in (part for part in known if part in sound):
        key, names = known[part]
        for index, each in enumerate(body[part]):
            found = each[key]
            if found not in names:
                known_ones = ", ".join(dict.fromkeys(names))
                message = f"{shown(found)} is no {key} of this report{nearest(found, names)}; one of: {known_ones}"
                yield Problem(pointer(part, index, key), message)
