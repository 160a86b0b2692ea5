"""What is wrong between values of a body that are valid by themselves. _CHECKS, at the end, lists what is checked."""

from collections.abc import Callable, Collection, Iterable, Iterator

from gateway.catalog.model import Dataset
from gateway.errors import Problem
from gateway.query.compare import PREVIOUS_START_TIME, compared_names
from gateway.query.filters import dimension_names
from gateway.query.literals import Json
from gateway.query.parts import compared_with, filter_of, interval_of, metrics_of
from gateway.query.report import START_TIME
from gateway.query.time import Interval
from gateway.query.validation_errors import Suggestions, pointer, quote

_Check = Callable[[Json, Dataset, Suggestions], Iterator[Problem]]


def contradictions(body: Json, wrong: Collection[str], dataset: Dataset, near: Suggestions) -> Iterator[Problem]:
    """Yield the contradictions between the parts of the body that are not `wrong`."""
    for parts, optional, check in _CHECKS:
        if all(part in body for part in parts) and not any(part in wrong for part in (*parts, *optional)):
            yield from check(body, dataset, near)


def _empty_interval(body: Json, _: Dataset, __: Suggestions) -> Iterator[Problem]:
    form = interval_of(body["interval"])
    # An interval up to now may be empty: at midnight, no time of the current day has passed.
    if not form.relative:
        yield from _must_not_be_empty("/interval", form.resolve(0).interval)


def _empty_comparison(body: Json, _: Dataset, __: Suggestions) -> Iterator[Problem]:
    other = compared_with(body["compare"]["to"], interval_of(body["interval"]))
    if isinstance(other, Interval):
        yield from _must_not_be_empty("/compare/to", other)


def _must_not_be_empty(where: str, interval: Interval) -> Iterator[Problem]:
    if interval.start >= interval.end:
        start, end = interval.to_json().values()
        yield Problem(where, f"must end after it starts: {start} to {end} is empty")


def _column_twice(body: Json, dataset: Dataset, _: Suggestions) -> Iterator[Problem]:
    groups, seen = body.get("group_by", []), set[str]()
    post_aggregations = {each["name"]: index for index, each in _post_aggregations(body)}
    for name in (*_times(body), *groups, *_numbers(body, dataset)):
        if name in seen:
            where = (
                pointer("post_aggregations", post_aggregations[name], "name")
                if name in post_aggregations
                else "/group_by"
                if name in groups
                else "/aggregations"
            )
            yield Problem(where, f"the column {name} occurs twice")
        seen.add(name)


def _unknown_operand(body: Json, dataset: Dataset, near: Suggestions) -> Iterator[Problem]:
    known = _metric_names(body, dataset)
    later = [each["name"] for _, each in _post_aggregations(body)]
    for index, each in _post_aggregations(body):
        later.remove(each["name"])
        for position, field in enumerate(each["fields"]):
            if isinstance(field, str) and field not in known:
                where = pointer("post_aggregations", index, "fields", position)
                if field == each["name"] or field in later:
                    message = f"{quote(field)} is not computed yet: a post-aggregation may read only earlier ones"
                    yield Problem(where, message)
                else:
                    yield Problem(where, _unknown(field, "metric or earlier post-aggregation", known, near))
        known.append(each["name"])


def _unknown_having(body: Json, dataset: Dataset, near: Suggestions) -> Iterator[Problem]:
    yield from _unknown_names(body, "having", "metric", _numbers(body, dataset), near)


def _unknown_order(body: Json, dataset: Dataset, near: Suggestions) -> Iterator[Problem]:
    names = [*_times(body), *body.get("group_by", ()), *_numbers(body, dataset)]
    yield from _unknown_names(body, "order_by", "column", names, near)


def _unknown_names(body: Json, part: str, key: str, names: list[str], near: Suggestions) -> Iterator[Problem]:
    for index, each in enumerate(body[part]):
        if each[key] not in names:
            yield Problem(pointer(part, index, key), _unknown(each[key], key, names, near))


def _top_without_groups(body: Json, dataset: Dataset, near: Suggestions) -> Iterator[Problem]:
    top, groups = body["top"], body.get("group_by", ())
    if not groups:
        yield Problem("/top", "needs group_by: it selects among the groups of a report")
    names = _side_names(body, dataset)
    if top["by"] not in names:
        yield Problem("/top/by", _unknown(top["by"], "metric", names, near))
    several = [name for name in groups if dataset.by_name[name].multi_valued]
    if top.get("other") and several:
        yield Problem(
            "/top/other",
            f"is not possible if group_by has a dimension with several values ({', '.join(several)}): "
            "a row can belong to groups of both kinds",
        )


def _fill_without_groups(body: Json, _: Dataset, __: Suggestions) -> Iterator[Problem]:
    if not body["fill"]:
        return
    if not body.get("group_by"):
        yield Problem("/fill", "needs group_by: without it, the answer has every bucket already")
    if body.get("granularity", "all") == "all":
        yield Problem("/fill", "needs a granularity other than all: it adds the buckets that a group lacks")


def _offset_without_limit(body: Json, _: Dataset, __: Suggestions) -> Iterator[Problem]:
    if "limit" not in body:
        yield Problem("/offset", "needs limit: the number of rows of a page")


def _unsteady_pages(body: Json, dataset: Dataset, _: Suggestions) -> Iterator[Problem]:
    """Each page is a query of its own, so its rows must be the same, in the same order, each time."""
    exact = [metric.name for metric in metrics_of(body["aggregations"], dataset) if metric.is_exact]
    if "compare" in body:
        exact = [each for name in exact for each in compared_names(name)]
    used = [
        *((pointer("order_by", index, "column"), each["column"]) for index, each in _parts(body, "order_by")),
        *((pointer("having", index, "metric"), each["metric"]) for index, each in _parts(body, "having")),
        *([("/top/by", body["top"]["by"])] if "top" in body else ()),
    ]
    unsteady = {*_numbers(body, dataset)} - {*exact}
    for where, name in used:
        if name in unsteady:
            steady = ", ".join(dict.fromkeys([*_times(body), *body.get("group_by", ()), *exact]))
            message = f"{name} can differ slightly each time it is computed, so that pages would overlap or lack rows"
            yield Problem(where, f"{message}; with offset, use one of: {steady}")
    read = _dimensions(body, dataset)
    for dimension in dataset.dimensions:
        if dimension.lookup is not None and dimension.name in read:
            yield Problem("/offset", f"needs a report without {dimension.name}: names can change from page to page")


def _dimensions(body: Json, dataset: Dataset) -> set[str]:
    """Return the names of all dimensions that Druid reads."""
    metrics = metrics_of(body["aggregations"], dataset)
    conditions = (filter_of(body.get("filters"), dataset), *(metric.filter for metric in metrics))
    names = {*body.get("group_by", ()), *(metric.dimension.name for metric in metrics)}
    return names.union(*map(dimension_names, conditions))


def _times(body: Json) -> list[str]:
    paired = "compare" in body and body.get("granularity", "all") != "all"
    return [START_TIME, PREVIOUS_START_TIME] if paired else [START_TIME]


def _parts(body: Json, part: str) -> Iterable[tuple[int, Json]]:
    return enumerate(body.get(part, ()))


def _post_aggregations(body: Json) -> Iterable[tuple[int, Json]]:
    return _parts(body, "post_aggregations")


def _metric_names(body: Json, dataset: Dataset) -> list[str]:
    return [metric.name for metric in metrics_of(body["aggregations"], dataset)]


def _side_names(body: Json, dataset: Dataset) -> list[str]:
    return [*_metric_names(body, dataset), *(each["name"] for _, each in _post_aggregations(body))]


def _numbers(body: Json, dataset: Dataset) -> list[str]:
    """Return the names of the columns of numbers in the answer."""
    side = _side_names(body, dataset)
    return side if "compare" not in body else [each for name in side for each in compared_names(name)]


def _unknown(found: str, what: str, names: list[str], near: Suggestions) -> str:
    known = ", ".join(dict.fromkeys(names))
    return f"{quote(found)} is no {what} of this report{near.nearest(found, names)}; one of: {known}"


_METRICS = ("group_by", "post_aggregations")

_CHECKS: tuple[tuple[tuple[str, ...], tuple[str, ...], _Check], ...] = (
    (("interval",), (), _empty_interval),
    (("interval", "compare"), (), _empty_comparison),
    (("aggregations",), _METRICS, _column_twice),
    (("aggregations", "post_aggregations"), (), _unknown_operand),
    (("aggregations", "having"), _METRICS, _unknown_having),
    (("aggregations", "order_by"), _METRICS, _unknown_order),
    (("aggregations", "top"), _METRICS, _top_without_groups),
    (("fill",), ("group_by",), _fill_without_groups),
    (("offset",), (), _offset_without_limit),
    (("aggregations", "offset"), (*_METRICS, "filters", "order_by", "having", "top"), _unsteady_pages),
)
"""The parts that a check needs in the body, the parts that it may also read, and the check."""
