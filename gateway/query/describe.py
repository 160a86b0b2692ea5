"""What a caller can request of a data set. Everything is derived from the catalog."""

from dataclasses import asdict

from gateway.catalog.model import Dataset, Deprecation, Kind
from gateway.query.aggregations import AGGREGATIONS
from gateway.query.buckets import GRANULARITIES
from gateway.query.compare import COMPARED_WITH
from gateway.query.filters import FILTERS
from gateway.query.intervals import INTERVALS
from gateway.query.limits import Limits
from gateway.query.literals import Json
from gateway.query.post_aggregations import POST_AGGREGATIONS
from gateway.query.zones import TZDATA_VERSION

_TYPES = {Kind.STRING: "string", Kind.LONG: "integer", Kind.DOUBLE: "number"}


def describe(dataset: Dataset, limits: Limits) -> Json:
    """Return the dimensions, aggregations, granularities, filters and limits of reports on the data set."""
    return {
        "name": dataset.name,
        "title": dataset.title,
        "description": dataset.description,
        "dimensions": [
            {
                "name": dimension.name,
                "description": dimension.description,
                "type": _TYPES[dimension.kind],
                "multi_valued": dimension.multi_valued,
                "allowed_values": list(dimension.allowed) or None,
                "aggregations": list(dimension.aggregations),
                **({} if dimension.name in dataset.columns else {"aggregations_only": True}),
            }
            for dimension in dataset.by_name.values()
        ],
        "aggregations": [
            {
                "type": aggregation.name,
                "description": aggregation.description,
                "result": aggregation.result,
                "parameters": list(aggregation.parameters),
                "fields": list(dataset.having_aggregation(aggregation.name)),
            }
            for aggregation in AGGREGATIONS.values()
        ],
        "post_aggregations": list(POST_AGGREGATIONS),
        "granularities": ["all", *GRANULARITIES],
        "intervals": list(INTERVALS),
        "filters": list(FILTERS),
        "compare": list(COMPARED_WITH),
        **({} if dataset.deprecation is None else {"deprecated": _deprecated(dataset.deprecation)}),
        "advice": [asdict(advice) for advice in dataset.advice],
        "limits": asdict(limits),
        "tz_database": TZDATA_VERSION,
    }


def _deprecated(deprecation: Deprecation) -> Json:
    days = {"since": deprecation.since.isoformat(), "sunset": deprecation.sunset and deprecation.sunset.isoformat()}
    return {**days, "link": deprecation.link}
