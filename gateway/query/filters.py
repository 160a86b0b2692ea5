"""The filters of the language, one class each: its JSON Schema, how it is read, and its form in Druid.

FILTERS, at the end, is the only list of them. A dimension with several values matches if any of them does. A row
without a value matches `selector` and `in` with null, and every `not` of a filter that does not match it. Druid's own
`not` is three-valued, so it gets `istrue` of its filter
(https://druid.apache.org/docs/33.0.0/querying/filters/#logical-expression-filters).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Protocol, Self

from pydruid.utils.filters import Filter as DruidFilter

from gateway.catalog.model import Dataset
from gateway.query.leaf_filters import Bound, In, Like, Selector, native
from gateway.query.literals import Json


class Filter(Protocol):
    """A condition on one row.

    `value_keys` are the keys of its native filter that carry values of the caller, which no log may contain.
    """

    value_keys: ClassVar[frozenset[str]]

    @staticmethod
    def schema(dataset: Dataset) -> Json:
        """Return the JSON Schema of the filter's keys beside `type`."""

    @classmethod
    def parse(cls, body: Json, dataset: Dataset) -> Self:
        """Read a body that is valid against the schema."""

    def to_json(self) -> Json:
        """Return the filter as the language writes it."""

    def to_druid(self) -> DruidFilter:
        """Return a new pydruid filter. pydruid modifies its arguments, so filters are never reused."""


def parse_filter(body: Json, dataset: Dataset) -> Filter:
    """Read a filter of any type from a body that is valid against the schema."""
    return FILTERS[body["type"]].parse(body, dataset)


def inner_filters(body: Json) -> list[Json]:
    """Return the filters that a filter consists of; none if it reads a dimension itself.

    Everything that traverses filters uses this function: limits, advice, the audit line.
    """
    inner: list[Json] = body.get("fields") or ([body["field"]] if "field" in body else [])
    return inner


def dimension_names(condition: Filter | None) -> set[str]:
    """Return the names of all dimensions that the filter reads, at any depth."""
    found: set[str] = set()
    level = [] if condition is None else [condition.to_json()]
    while level:
        found.update(each["dimension"] for each in level if "dimension" in each)
        level = [inner for each in level for inner in inner_filters(each)]
    return found


@dataclass(frozen=True, slots=True)
class _Several:
    """A combination of filters."""

    type: ClassVar[str]
    value_keys: ClassVar = frozenset[str]()

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

    value_keys: ClassVar = frozenset[str]()

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

_VALUE_KEYS = frozenset[str]().union(*(each.value_keys for each in FILTERS.values()))


def caller_values(native_filter: object) -> Iterator[str]:
    """Yield every text of the caller in the filters of a native query, or in a part of one."""
    if isinstance(native_filter, dict):
        for key, value in native_filter.items():
            if key in _VALUE_KEYS:
                yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
            else:
                yield from caller_values(value)
    elif isinstance(native_filter, list):
        for each in native_filter:
            yield from caller_values(each)
