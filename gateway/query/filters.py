"""The filters of the language, one class each: its JSON Schema, how it is read, and what it is in Druid.

FILTERS, at the end, is the only list of them. A dimension with several values matches when any of them does. A row
without a value matches `selector` and `in` with null, and every `not` of a filter that does not match it: Druid's own
`not` is three-valued, so it is given `istrue` of its filter
(https://druid.apache.org/docs/33.0.0/querying/filters/#logical-expression-filters).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Protocol, Self

from pydruid.utils.filters import Filter as DruidFilter

from gateway.catalog.model import Dataset, Dimension, Kind
from gateway.query.literals import LONGEST_STRING, Json, Value, by_dimension, nullable, read_value


class Filter(Protocol):
    """A condition on one row."""

    @staticmethod
    def schema(dataset: Dataset) -> Json:
        """Return the JSON Schema of the filter's keys beside `type`."""

    @classmethod
    def parse(cls, body: Json, dataset: Dataset) -> Self:
        """Read a body that is valid against the schema."""

    def to_json(self) -> Json:
        """Return the filter as the language writes it."""

    def to_druid(self) -> DruidFilter:
        """Return a new pydruid filter; pydruid changes those it is given, so none is ever kept."""


def parse_filter(body: Json, dataset: Dataset) -> Filter:
    """Read a filter of any type from a body that is valid against the schema."""
    return FILTERS[body["type"]].parse(body, dataset)


def inner_filters(body: Json) -> list[Json]:
    """Return the filters that a filter is made of, none where it looks at a dimension itself.

    Whoever walks through filters walks by this: limits, advice, the audit line.
    """
    inner: list[Json] = body.get("fields") or ([body["field"]] if "field" in body else [])
    return inner


def native(body: Json) -> DruidFilter:
    """Return a filter that pydruid has no class for."""
    wrapped = DruidFilter(dimension="", value=None)
    wrapped.filter = {"filter": body}
    return wrapped


def _is_null(dimension: Dimension) -> DruidFilter:
    return native({"type": "null", "column": dimension.column})


def _equals(dimension: Dimension, value: Value) -> DruidFilter:
    if dimension.kind is Kind.STRING:
        return DruidFilter(type="selector", dimension=dimension.column, value=value)
    return native({"type": "equals", "column": dimension.column, "matchValueType": "DOUBLE", "matchValue": value})


def _keys(dataset: Dataset, required: tuple[str, ...], **properties: Json) -> Json:
    names = [dimension.name for dimension in dataset.dimensions]
    return {
        "properties": {"type": True, "dimension": {"enum": names}, **properties},
        "required": ["dimension", *required],
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True)
class Selector:
    """The dimension has this value; None: it has no value."""

    dimension: Dimension
    value: Value | None

    @staticmethod
    def schema(dataset: Dataset) -> Json:
        keys = _keys(dataset, ("value",), value={})
        return {**keys, "allOf": by_dimension(dataset, lambda value: {"value": nullable(value)})}

    @classmethod
    def parse(cls, body: Json, dataset: Dataset) -> Self:
        dimension = dataset.by_name[body["dimension"]]
        return cls(dimension, read_value(dimension, body["value"]))

    def to_json(self) -> Json:
        return {"type": "selector", "dimension": self.dimension.name, "value": self.value}

    def to_druid(self) -> DruidFilter:
        return _is_null(self.dimension) if self.value is None else _equals(self.dimension, self.value)


@dataclass(frozen=True, slots=True)
class In:
    """The dimension has one of these values."""

    dimension: Dimension
    values: tuple[Value | None, ...]

    @staticmethod
    def schema(dataset: Dataset) -> Json:
        keys = _keys(dataset, ("values",), values={"type": "array", "minItems": 1})
        return {**keys, "allOf": by_dimension(dataset, lambda value: {"values": {"items": nullable(value)}})}

    @classmethod
    def parse(cls, body: Json, dataset: Dataset) -> Self:
        dimension = dataset.by_name[body["dimension"]]
        return cls(dimension, tuple(dict.fromkeys(read_value(dimension, raw) for raw in body["values"])))

    def to_json(self) -> Json:
        return {"type": "in", "dimension": self.dimension.name, "values": list(self.values)}

    def to_druid(self) -> DruidFilter:
        present = [value for value in self.values if value is not None]
        either = [_is_null(self.dimension)] if None in self.values else []
        if self.dimension.kind is not Kind.STRING:
            either += [_equals(self.dimension, value) for value in present]
        elif present:
            either.append(DruidFilter(type="in", dimension=self.dimension.column, values=present))
        return either[0] if len(either) == 1 else DruidFilter(type="or", fields=either)


@dataclass(frozen=True, slots=True)
class Bound:
    """The dimension has a value between two bounds, each of which may be left out and may be strict.

    Numbers are compared as numbers; strings by their UTF-16 code units, as Druid orders them.
    """

    dimension: Dimension
    lower: Value | None
    upper: Value | None
    lower_strict: bool
    upper_strict: bool

    @staticmethod
    def schema(dataset: Dataset) -> Json:
        strict: Json = {"type": "boolean"}
        keys = _keys(dataset, (), lower={}, upper={}, lowerStrict=strict, upperStrict=strict, ordering={})
        return {
            **keys,
            "anyOf": [{"required": ["lower"]}, {"required": ["upper"]}],
            "allOf": by_dimension(dataset, Bound._value_keys, listed=False),
        }

    @staticmethod
    def _value_keys(value: Json) -> Json:
        ordering = "lexicographic" if value["type"] == "string" else "numeric"
        return {"lower": value, "upper": value, "ordering": {"enum": [ordering]}}

    @classmethod
    def parse(cls, body: Json, dataset: Dataset) -> Self:
        dimension = dataset.by_name[body["dimension"]]
        lower, upper = (read_value(dimension, body.get(key)) for key in ("lower", "upper"))
        return cls(dimension, lower, upper, body.get("lowerStrict", False), body.get("upperStrict", False))

    def to_json(self) -> Json:
        body: Json = {"type": "bound", "dimension": self.dimension.name}
        if self.lower is not None:
            body |= {"lower": self.lower, "lowerStrict": self.lower_strict}
        if self.upper is not None:
            body |= {"upper": self.upper, "upperStrict": self.upper_strict}
        return body

    def to_druid(self) -> DruidFilter:
        if self._holds_nothing():
            # Druid answers 500 to a range that is upside down, when the column is the one that segments are cut by.
            return native({"type": "false"})
        # `range` and not `bound`: it never matches a row without a value, whichever end is open.
        text = self.dimension.kind is Kind.STRING
        body: Json = {
            "type": "range",
            "column": self.dimension.column,
            "matchValueType": "STRING" if text else "DOUBLE",
        }
        if self.lower is not None:
            body |= {"lower": self.lower, "lowerOpen": self.lower_strict}
        if self.upper is not None:
            body |= {"upper": self.upper, "upperOpen": self.upper_strict}
        return native(body)

    def _holds_nothing(self) -> bool:
        if self.lower is None or self.upper is None:
            return False
        lower, upper = (
            bound.encode("utf-16-be") if isinstance(bound, str) else bound for bound in (self.lower, self.upper)
        )
        empty: bool = lower > upper or (lower == upper and (self.lower_strict or self.upper_strict))  # type: ignore[operator]  # both are of the dimension's type
        return empty


@dataclass(frozen=True, slots=True)
class Like:
    """The dimension has a value of this form: % stands for any characters, _ for one, `escape` takes that away."""

    dimension: Dimension
    pattern: str
    escape: str | None

    @staticmethod
    def schema(dataset: Dataset) -> Json:
        text: Json = {"enum": [d.name for d in dataset.dimensions if d.kind is Kind.STRING]}
        keys = _keys(
            dataset,
            ("pattern",),
            pattern={"type": "string", "maxLength": LONGEST_STRING},
            escape={"type": "string", "minLength": 1, "maxLength": 1},
        )
        return {**keys, "properties": {**keys["properties"], "dimension": text}}

    @classmethod
    def parse(cls, body: Json, dataset: Dataset) -> Self:
        return cls(dataset.by_name[body["dimension"]], body["pattern"], body.get("escape"))

    def to_json(self) -> Json:
        body: Json = {"type": "like", "dimension": self.dimension.name, "pattern": self.pattern}
        return body if self.escape is None else {**body, "escape": self.escape}

    def to_druid(self) -> DruidFilter:
        return native({**self.to_json(), "dimension": self.dimension.column})


@dataclass(frozen=True, slots=True)
class _Several:
    """Filters that make one."""

    type: ClassVar[str]

    fields: tuple[Filter, ...]

    @staticmethod
    def schema(dataset: Dataset) -> Json:  # noqa: ARG004 - the same for every data set
        filters = {"type": "array", "items": {"$ref": "#/$defs/filter"}, "minItems": 1}
        return {
            "properties": {"type": True, "fields": filters},
            "required": ["fields"],
            "additionalProperties": False,
        }

    @classmethod
    def parse(cls, body: Json, dataset: Dataset) -> Self:
        return cls(tuple(parse_filter(each, dataset) for each in body["fields"]))

    def to_json(self) -> Json:
        return {"type": self.type, "fields": [each.to_json() for each in self.fields]}

    def to_druid(self) -> DruidFilter:
        return DruidFilter(type=self.type, fields=[each.to_druid() for each in self.fields])


class And(_Several):
    """Every one of the filters matches."""

    __slots__ = ()
    type = "and"


class Or(_Several):
    """At least one of the filters matches."""

    __slots__ = ()
    type = "or"


@dataclass(frozen=True, slots=True)
class Not:
    """The filter does not match: the exact complement."""

    field: Filter

    @staticmethod
    def schema(dataset: Dataset) -> Json:  # noqa: ARG004 - the same for every data set
        return {
            "properties": {"type": True, "field": {"$ref": "#/$defs/filter"}},
            "required": ["field"],
            "additionalProperties": False,
        }

    @classmethod
    def parse(cls, body: Json, dataset: Dataset) -> Self:
        return cls(parse_filter(body["field"], dataset))

    def to_json(self) -> Json:
        return {"type": "not", "field": self.field.to_json()}

    def to_druid(self) -> DruidFilter:
        certain = {"type": "istrue", "field": DruidFilter.build_filter(self.field.to_druid())}
        return DruidFilter(type="not", field=native(certain))


FILTERS: Mapping[str, type[Filter]] = MappingProxyType(
    {"selector": Selector, "in": In, "bound": Bound, "like": Like, "and": And, "or": Or, "not": Not}
)
