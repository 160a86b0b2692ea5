"""The description of a report in the audit log: its shape, without the values of its filters."""

from gateway.query.filters import inner_filters
from gateway.query.literals import Json
from gateway.query.plan import Plan
from gateway.query.report import Report, once_per_report


def shape_of(plan: Plan) -> Json:
    """Return the report's types and dimensions, without filter values and without names that the caller chose."""
    return {**plan.interval.to_json(), **_shape_of(plan.report)}


@once_per_report
def _shape_of(report: Report) -> Json:
    return {
        "granularity": report.granularity.name if report.granularity else "all",
        "group_by": [dimension.name for dimension in report.group_by],
        "aggregations": [
            f"{metric.aggregation.name}({metric.dimension.name})"
            + ("" if metric.filter is None else f" where {_shape(metric.filter.to_json())}")
            for metric in report.metrics
        ],
        **_additions(report),
        "filters": None if report.filter is None else _shape(report.filter.to_json()),
    }


def _additions(report: Report) -> Json:
    """Return the parts that few reports have."""
    parts = {
        "post_aggregations": [each.to_json()["type"] for each in report.post_aggregations],
        "compare": report.compare and report.compare.to_json()["to"],
        "top": report.top and {"groups": report.top.groups, "other": report.top.other},
        "fill": report.fill,
        "freshness": report.freshness,
    }
    return {name: part for name, part in parts.items() if part}


def _shape(body: Json) -> str:
    """Return a filter without its values, for example and(selector(scope), not(in(room_ids)))."""
    within = [body["dimension"]] if "dimension" in body else [_shape(inner) for inner in inner_filters(body)]
    return f"{body['type']}({', '.join(within)})"
