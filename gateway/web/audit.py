"""The description of a report in the audit log: its shape, without the values of its filters."""

from gateway.query.filters import inner_filters
from gateway.query.literals import Json
from gateway.query.plan import Plan
from gateway.query.time import format_moment


def shape_of(plan: Plan) -> Json:
    """Return the report's types and dimensions, without filter values and without names that the caller chose."""
    report = plan.report
    interval = report.interval
    return {
        "start": format_moment(interval.start, interval.zone),
        "end": format_moment(interval.end, interval.zone),
        "granularity": report.granularity.name if report.granularity else "all",
        "group_by": [dimension.name for dimension in report.group_by],
        "aggregations": [
            f"{metric.aggregation.name}({metric.dimension.name})"
            + ("" if metric.filter is None else f" where {_shape(metric.filter.to_json())}")
            for metric in report.metrics
        ],
        "filters": None if report.filter is None else _shape(report.filter.to_json()),
    }


def _shape(body: Json) -> str:
    """Return a filter without its values, for example and(selector(scope), not(in(room_ids)))."""
    within = [body["dimension"]] if "dimension" in body else [_shape(inner) for inner in inner_filters(body)]
    return f"{body['type']}({', '.join(within)})"
