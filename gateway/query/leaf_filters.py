"""The filters that read one dimension; gateway.query.filters lists and combines them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Self

from pydruid.utils.filters import Filter as DruidFilter

from gateway.catalog.model import Dataset, Dimension, Kind
from gateway.query.literals import LONGEST_STRING, SINGLE_CHARACTER, Json, Value, by_dimension, nullable, read_value


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
    kind: Kind = Kind.DOUBLE
    if dimension.kind is Kind.LONG and isinstance(value, int | float) and value == int(value):
        # For 7.0, Druid omits every segment that is partitioned by the column and has 7: it compares the texts.
        kind, value = Kind.LONG, int(value)
    return native({"type": "equals", "column": dimension.column, "matchValueType": kind.value, "matchValue": value})


def _digits(value: Value) -> str:
    """Return a number without an exponent."""
    return format(Decimal(repr(value)), "f")


def _keys(dataset: Dataset, required: tuple[str, ...], **properties: Json) -> Json:
    names = list(dataset.columns)
    return {
        "properties": {"type": True, "dimension": {"enum": names}, **properties},
        "required": ["dimension", *required],
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True)
class Selector:
    """The dimension has this value; with None, it has no value."""

    value_keys: ClassVar = frozenset({"value", "matchValue"})

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

    value_keys: ClassVar = frozenset({"values", "matchValue"})

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
        if not either:
            return native({"type": "false"})
        return either[0] if len(either) == 1 else DruidFilter(type="or", fields=either)


@dataclass(frozen=True, slots=True)
class Bound:
    """The dimension has a value between two bounds, each of which is optional and may be strict.

    Numbers are compared as numbers; strings by their UTF-16 code units, as Druid orders them.
    """

    value_keys: ClassVar = frozenset({"lower", "upper"})

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
        if self._is_empty():
            # Druid fails on a range with reversed bounds if its column is the one by which segments are partitioned.
            return native({"type": "false"})
        if self.dimension.kind is Kind.LONG:
            return self._numeric_bound()
        # Unlike `bound`, `range` never matches a row without a value.
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

    def _numeric_bound(self) -> DruidFilter:
        # For `range`, Druid compares bounds as texts to choose among segments that are partitioned by the column, and
        # omits 7 from 5 to 65. For `bound` with numeric ordering it does not.
        body: Json = {"type": "bound", "dimension": self.dimension.column, "ordering": "numeric"}
        if self.lower is not None:
            body |= {"lower": _digits(self.lower), "lowerStrict": self.lower_strict}
        if self.upper is not None:
            body |= {"upper": _digits(self.upper), "upperStrict": self.upper_strict}
        present = DruidFilter(type="not", field=_is_null(self.dimension))
        return native(body) if self.lower is not None else DruidFilter(type="and", fields=[native(body), present])

    def _is_empty(self) -> bool:
        if self.lower is None or self.upper is None:
            return False
        lower, upper = (
            bound.encode("utf-16-be") if isinstance(bound, str) else bound for bound in (self.lower, self.upper)
        )
        empty: bool = lower > upper or (lower == upper and (self.lower_strict or self.upper_strict))  # type: ignore[operator]  # both are of the dimension's type
        return empty


@dataclass(frozen=True, slots=True)
class Like:
    """The dimension has a value of this form: % means any characters, _ one character; `escape` makes them literal."""

    value_keys: ClassVar = frozenset({"pattern", "escape"})

    dimension: Dimension
    pattern: str
    escape: str | None

    @staticmethod
    def schema(dataset: Dataset) -> Json:
        text: Json = {"enum": [d.name for d in dataset.columns.values() if d.kind is Kind.STRING]}
        keys = _keys(
            dataset,
            ("pattern",),
            pattern={"type": "string", "maxLength": LONGEST_STRING},
            escape={"type": "string", "minLength": 1, "maxLength": 1, "pattern": SINGLE_CHARACTER},
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
