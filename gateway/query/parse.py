"""From a body to a Report: either every name resolved, or every problem at once."""

from itertools import islice

from gateway.catalog.model import Dataset
from gateway.errors import InvalidReport
from gateway.query.buckets import GRANULARITIES
from gateway.query.compare import Compare
from gateway.query.complexity import oversize
from gateway.query.contradictions import contradictions
from gateway.query.default_filters import with_default_filters
from gateway.query.literals import Json
from gateway.query.parts import (
    compared_with,
    filter_of,
    interval_of,
    metrics_of,
    order_of,
    post_aggregations_of,
    top_of,
)
from gateway.query.report import Having, Report
from gateway.query.schema import ReportSchema
from gateway.query.validation_errors import MAX_PROBLEMS, Suggestions


def parse(body: object, schema: ReportSchema) -> Report:
    """Return the report that the body describes; raises InvalidReport with every problem."""
    too_large = list(oversize(body, schema.limits))
    near = Suggestions()
    problems = too_large or list(schema.problems(body, near))
    if isinstance(body, dict) and not too_large and len(problems) < MAX_PROBLEMS:
        # Contradictions are searched in every valid part. With MAX_PROBLEMS the list may be cut, so no part is known to
        # be valid.
        wrong = {problem.pointer.split("/")[1] for problem in problems if problem.pointer}
        found = contradictions(body, wrong, schema.dataset, near)
        problems += islice(found, MAX_PROBLEMS - len(problems))
    if problems:
        count = f"{len(problems)} problem{'s' * (len(problems) != 1)}"
        raise InvalidReport(f"The report has {count}. Fix the fields listed in errors.", problems=problems)
    assert isinstance(body, dict)  # noqa: S101 - the schema requires it
    return _report(body, schema.dataset)


def _report(body: Json, dataset: Dataset) -> Report:
    interval = interval_of(body["interval"])
    report = Report(
        interval=interval,
        granularity=GRANULARITIES.get(body.get("granularity", "all")),
        group_by=tuple(dataset.by_name[name] for name in body.get("group_by", ())),
        metrics=metrics_of(body["aggregations"], dataset),
        post_aggregations=post_aggregations_of(body.get("post_aggregations", ())),
        filter=filter_of(body.get("filters"), dataset),
        # For Druid, -0.0 is less than 0.0, and both are equal to 0.
        having=tuple(Having(each["type"], each["metric"], each["value"] or 0) for each in body.get("having", ())),
        order_by=tuple(order_of(each["column"], each.get("direction")) for each in body.get("order_by", ())),
        limit=int(body["limit"]) if "limit" in body else None,
        offset=int(body["offset"]) if "offset" in body else None,
        totals=body.get("totals", False),
        compare=Compare(compared_with(body["compare"]["to"], interval)) if "compare" in body else None,
        top=top_of(body["top"]) if "top" in body else None,
        fill=body.get("fill", False),
        freshness=body.get("freshness", False),
    )
    return with_default_filters(report, dataset)
