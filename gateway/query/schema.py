"""The JSON Schema of a data set's reports. The published document is the one that decides."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import jsonschema_rs

from gateway.catalog.model import Dataset
from gateway.errors import Problem
from gateway.query.aggregations import AGGREGATIONS
from gateway.query.buckets import GRANULARITIES
from gateway.query.compare import COMPARED_WITH
from gateway.query.filters import FILTERS
from gateway.query.intervals import Fixed, interval_schema
from gateway.query.limits import Limits
from gateway.query.literals import COLUMN_NAME, LARGEST_NUMBER, Json
from gateway.query.post_aggregations import POST_AGGREGATIONS, PostAggregation
from gateway.query.report import COMPARISONS
from gateway.query.time import parse_timestamp
from gateway.query.validation_errors import Suggestions, find_problems
from gateway.query.zones import TIME_ZONES

_COLUMN_NAME: Json = {"description": "The name of the column.", "type": "string", "pattern": COLUMN_NAME}

_LARGEST_OFFSET = 1_000_000_000
"""Druid computes with the sum of offset and limit in 32 bits."""
MOST_GROUPS = 1_000
"""The maximum number of groups of `top`: each is a part of a filter."""

_UTC = ZoneInfo("UTC")


def _is_timestamp(text: str) -> bool:
    try:
        parse_timestamp(text, _UTC)
    except ValueError:
        return False
    return True


def _of_text(check: Callable[[str], bool]) -> Callable[[object], bool]:
    """Return a check that accepts every other type, which the keyword `type` reports."""
    return lambda value: not isinstance(value, str) or check(value)


FORMATS: Mapping[str, Callable[[object], bool]] = {
    "timestamp": _of_text(_is_timestamp),
    "time-zone": _of_text(TIME_ZONES.__contains__),
}


@dataclass(frozen=True, slots=True)
class ReportSchema:
    """The compiled schema of one data set's reports within these limits."""

    dataset: Dataset
    limits: Limits
    document: Json
    _validator: jsonschema_rs.Draft202012Validator

    def problems(self, body: object, near: Suggestions) -> tuple[Problem, ...]:
        """Return what is wrong with the body's shape, names and values; nothing if it is valid."""
        if self._validator.is_valid(body):
            return ()
        return find_problems(self._validator, self.document, body, near) or (Problem("", "is not a valid report"),)


def compile_schema(dataset: Dataset, limits: Limits) -> ReportSchema:
    """Build and compile the data set's schema; takes some milliseconds, once."""
    document = report_schema(dataset, limits)
    validator = jsonschema_rs.Draft202012Validator(document, formats=dict(FORMATS), validate_formats=True)
    return ReportSchema(dataset, limits, document, validator)


def report_schema(dataset: Dataset, limits: Limits) -> Json:
    """Return the schema (draft 2020-12) of a report on the data set."""
    names = list(dataset.columns)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A report on {dataset.name}",
        "type": "object",
        "properties": {
            "interval": {
                "description": "From start up to, but not including, end; the last units of time; or the current unit.",
                **interval_schema({"type": "string", "format": "time-zone", "default": "UTC"}),
            },
            "granularity": {
                "description": "The length of a bucket; buckets start at local time in time_zone.",
                "enum": ["all", *GRANULARITIES],
                "default": "all",
            },
            "group_by": {
                "description": "Dimensions, in the order of the answer's columns.",
                **_list({"enum": names}, most=len(names)),
            },
            "aggregations": {
                "description": "What to compute: one column for each field.",
                **_list({"$ref": "#/$defs/aggregation"}, most=limits.aggregations),
                "minItems": 1,
            },
            "post_aggregations": {
                "description": "Numbers computed from the metrics of the same row: further columns.",
                **_list({"$ref": "#/$defs/post_aggregation"}, most=limits.aggregations),
            },
            "filters": {
                "description": "One filter, or a list of filters that must all match; {} and [] mean none.",
                "type": ["object", "array"],
                "if": {"type": "array"},
                "then": {"items": {"$ref": "#/$defs/filter"}},
                "else": {"if": {"type": "object", "minProperties": 1}, "then": {"$ref": "#/$defs/filter"}},
            },
            "having": {
                "description": "Comparisons of metrics, all of which a row of the answer must match.",
                **_list(
                    _object(
                        {"type": {"enum": list(COMPARISONS)}, "metric": {"type": "string"}, "value": _NUMBER},
                        required=["type", "metric", "value"],
                    ),
                    most=limits.aggregations,
                ),
            },
            "order_by": {
                "description": "Columns to order by: start_time, dimensions of group_by, metrics.",
                **_list(
                    _object(
                        {
                            "column": {"type": "string"},
                            "direction": {"enum": ["ascending", "descending"], "default": "ascending"},
                        },
                        required=["column"],
                    ),
                    most=limits.aggregations,
                ),
            },
            "limit": {
                "description": "The maximum number of rows: the first ones in the answer's order.",
                "type": "integer",
                "minimum": 1,
                "maximum": limits.rows,
            },
            "offset": {
                "description": "For reports in pages, with limit: the number of rows to skip, 0 for the first page.",
                "type": "integer",
                "minimum": 0,
                "maximum": _LARGEST_OFFSET,
            },
            "totals": {
                "description": "Whether to add a row over all rows that the filters match; uniques do not add up.",
                **_FLAG,
            },
            "compare": {
                "description": "An interval to compare with: two more columns for each metric.",
                **_object({"to": _compared_with()}, required=["to"]),
            },
            "top": {
                "description": "Only the groups that are first by a metric over the whole interval.",
                **_object(
                    {
                        "groups": {"type": "integer", "minimum": 1, "maximum": MOST_GROUPS},
                        "by": {"type": "string"},
                        "direction": {"enum": ["ascending", "descending"], "default": "descending"},
                        "other": {"description": "Whether to add the rows of all other groups together.", **_FLAG},
                    },
                    required=["groups", "by"],
                ),
            },
            "fill": {
                "description": "Whether every group has a row in every bucket.",
                **_FLAG,
            },
            "freshness": {
                "description": "Whether to add until when the numbers are final, and the buckets that may change.",
                **_FLAG,
            },
        },
        "required": ["interval", "aggregations"],
        "additionalProperties": False,
        "$defs": {
            "filter": _dispatch("filter", FILTERS),
            **{f"filter_{name}": each.schema(dataset) for name, each in FILTERS.items()},
            "aggregation": _dispatch("aggregation", AGGREGATIONS),
            **{f"aggregation_{name}": _aggregation(name, dataset) for name in AGGREGATIONS},
            "post_aggregation": _dispatch("post_aggregation", POST_AGGREGATIONS),
            **{f"post_aggregation_{name}": _post_aggregation(each) for name, each in POST_AGGREGATIONS.items()},
        },
    }


_FLAG: Json = {"type": "boolean", "default": False}
_NUMBER: Json = {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}


def _object(properties: Json, *, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(items: Json, *, most: int) -> Json:
    return {"type": "array", "items": items, "maxItems": most}


def _dispatch(kind: str, names: Iterable[str]) -> Json:
    """Choose by `type` with if/then, which reports what is wrong; oneOf would report only that nothing matches."""
    return {
        "type": "object",
        "properties": {"type": {"enum": list(names)}},
        "required": ["type"],
        "allOf": [
            {
                "if": {"properties": {"type": {"enum": [name]}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/{kind}_{name}"},
            }
            for name in names
        ],
    }


def _compared_with() -> Json:
    """Return the schema of a named interval or, if it is an object, of a fixed one."""
    return {
        "type": ["string", "object"],
        "if": {"type": "string"},
        "then": {"enum": list(COMPARED_WITH)},
        "else": {**Fixed.schema(), "additionalProperties": False},
    }


def _post_aggregation(each: type[PostAggregation]) -> Json:
    schema = each.schema()
    properties = {"type": True, "name": _COLUMN_NAME, **schema["properties"]}
    required = ["name", *schema["required"]]
    return {"properties": properties, "required": required, "additionalProperties": False}


def _aggregation(name: str, dataset: Dataset) -> Json:
    aggregation = AGGREGATIONS[name]
    properties: Json = {
        "type": True,
        **aggregation.parameters,
        "name": _COLUMN_NAME,
        "filter": {"description": "Aggregate only the rows that match.", "$ref": "#/$defs/filter"},
    }
    if aggregation.of_rows:
        # By the contract, count "does not need fields defined", so any value is ignored.
        return {"properties": {**properties, "fields": True}, "additionalProperties": False}
    fields = {"enum": list(dataset.having_aggregation(name))}
    return {
        "properties": {**properties, "fields": {"type": "array", "items": fields, "minItems": 1}},
        "required": ["fields", *aggregation.parameters],
        # A name needs exactly one column.
        "if": {"required": ["name"]},
        "then": {"properties": {"fields": {"maxItems": 1}}},
        "additionalProperties": False,
    }
