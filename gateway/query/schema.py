"""The JSON Schema of a data set's reports: the one that is published and the one that decides.

Two libraries hold the same schema. jsonschema-rs decides, in microseconds; jsonschema is asked only when something is
wrong, to say what (gateway.query.problems). A property test shows that they agree.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import jsonschema
import jsonschema_rs

from gateway.catalog.model import Dataset
from gateway.errors import Problem
from gateway.query.aggregations import AGGREGATIONS
from gateway.query.filters import FILTERS
from gateway.query.literals import LARGEST_NUMBER, Json
from gateway.query.report import COMPARISONS, Limits
from gateway.query.time import GRANULARITIES, TIME_ZONES, parse_timestamp
from gateway.query.validation_errors import explain

# Never an underscore first: with it the names begin that the gateway gives to columns of its own.
COLUMN_NAME = "^[A-Za-z][A-Za-z0-9_]{0,63}(?!\\n)$"

_UTC = ZoneInfo("UTC")


def _is_timestamp(text: str) -> bool:
    try:
        parse_timestamp(text, _UTC)
    except ValueError:
        return False
    return True


def _of_text(check: Callable[[str], bool]) -> Callable[[object], bool]:
    """A format is one of strings: that something else stands there is for `type` to say."""
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
    _decides: jsonschema_rs.Draft202012Validator
    _explains: jsonschema.Draft202012Validator

    def problems(self, body: object) -> tuple[Problem, ...]:
        """Return what is wrong with the body's shape, names and values; nothing where it is valid."""
        if self._decides.is_valid(body):
            return ()
        # Whatever the second opinion: what was found invalid stays so.
        return explain(self._explains, body) or (Problem("", "is not a valid report"),)


def compile_schema(dataset: Dataset, limits: Limits) -> ReportSchema:
    """Build the data set's schema and compile it with both libraries; some milliseconds, once."""
    document = report_schema(dataset, limits)
    jsonschema.Draft202012Validator.check_schema(document)
    checker = jsonschema.FormatChecker(formats=())
    for name, check in FORMATS.items():
        checker.checks(name)(check)
    return ReportSchema(
        dataset,
        limits,
        document,
        jsonschema_rs.Draft202012Validator(document, formats=dict(FORMATS), validate_formats=True),
        jsonschema.Draft202012Validator(document, format_checker=checker),
    )


def report_schema(dataset: Dataset, limits: Limits) -> Json:
    """Return the schema (draft 2020-12) of a report on the data set."""
    names = [dimension.name for dimension in dataset.dimensions]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A report on {dataset.name}",
        "type": "object",
        "properties": {
            "interval": {
                "description": "From start up to, but not including, end; an end of .999 includes that millisecond.",
                **_object(
                    {
                        "start": {"type": "string", "format": "timestamp"},
                        "end": {"type": "string", "format": "timestamp"},
                        "time_zone": {"type": "string", "format": "time-zone", "default": "UTC"},
                    },
                    required=["start", "end"],
                ),
            },
            "granularity": {
                "description": "How long a bucket is; buckets begin at local time in time_zone.",
                "enum": ["all", *GRANULARITIES],
                "default": "all",
            },
            "group_by": {
                "description": "Dimensions, in the order of the answer's columns.",
                **_list({"enum": names}, most=len(names)),
            },
            "aggregations": {
                "description": "What to compute: one column a field.",
                **_list({"$ref": "#/$defs/aggregation"}, most=limits.aggregations),
                "minItems": 1,
            },
            "filters": {
                "description": "One filter, or a list of which each must match; {} and [] mean none.",
                "type": ["object", "array"],
                "if": {"type": "array"},
                "then": {"items": {"$ref": "#/$defs/filter"}},
                "else": {"if": {"type": "object", "minProperties": 1}, "then": {"$ref": "#/$defs/filter"}},
            },
            "having": {
                "description": "Comparisons of metrics, each of which a row of the answer must meet.",
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
                "description": "At most so many rows: the first ones in the answer's order.",
                "type": "integer",
                "minimum": 1,
                "maximum": limits.rows,
            },
            "totals": {
                "description": "Whether to add a row over everything that the filters match: uniques do not add up.",
                "type": "boolean",
                "default": False,
            },
        },
        "required": ["interval", "aggregations"],
        "additionalProperties": False,
        "$defs": {
            "filter": _dispatch("filter", FILTERS),
            **{f"filter_{name}": each.schema(dataset) for name, each in FILTERS.items()},
            "aggregation": _dispatch("aggregation", AGGREGATIONS),
            **{f"aggregation_{name}": _aggregation(name, dataset) for name in AGGREGATIONS},
        },
    }


_NUMBER: Json = {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}


def _object(properties: Json, *, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(items: Json, *, most: int) -> Json:
    return {"type": "array", "items": items, "maxItems": most}


def _dispatch(kind: str, names: Iterable[str]) -> Json:
    """Choose by `type` with if/then, which says what is wrong where oneOf would say only that nothing fits."""
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


def _aggregation(name: str, dataset: Dataset) -> Json:
    properties: Json = {
        "type": True,
        "name": {"description": "What to call the column.", "type": "string", "pattern": COLUMN_NAME},
        "filter": {"description": "Aggregate only the rows that match.", "$ref": "#/$defs/filter"},
    }
    if AGGREGATIONS[name].of_rows:
        # The contract: count "does not need fields defined", so whatever stands there is not looked at.
        return {"properties": {**properties, "fields": True}, "additionalProperties": False}
    fields = {"enum": list(dataset.having_aggregation(name))}
    return {
        "properties": {**properties, "fields": {"type": "array", "items": fields, "minItems": 1}},
        "required": ["fields"],
        # A name is the name of one column.
        "if": {"required": ["name"]},
        "then": {"properties": {"fields": {"maxItems": 1}}},
        "additionalProperties": False,
    }
