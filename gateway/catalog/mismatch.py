"""A difference between a data set file and what Druid has, and the words of its message."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from gateway.catalog.data_source import Schema
from gateway.catalog.wording import nearest

_MOST_NAMES = 30


class Difference(StrEnum):
    """What can differ. The names are public: /readyz and `gateway catalog check --json` have them."""

    DATA_SOURCE_UNKNOWN = "data_source_unknown"
    DATA_SOURCE_EMPTY = "data_source_empty"
    COLUMN_MISSING = "column_missing"
    COLUMN_TYPE = "column_type"
    SEVERAL_VALUES = "several_values"
    SINGLE_VALUE = "single_value"
    TENANT_SEVERAL_VALUES = "tenant_several_values"
    TENANT_NULL = "tenant_null"
    TENANT_IDS = "tenant_ids"
    METRIC_MISSING = "metric_missing"
    METRIC_TYPE = "metric_type"
    METRIC_NULL = "metric_null"
    ROLLUP = "rollup"
    GRANULARITY = "granularity"
    LOOKUP_MISSING = "lookup_missing"
    LOOKUP_NOT_LOADED = "lookup_not_loaded"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference, and what to do about it. A note (not `is_fault`) does not affect any number."""

    kind: Difference
    message: str
    is_fault: bool = True


def faults(mismatches: Iterable[Mismatch]) -> tuple[Mismatch, ...]:
    """Return those that would make numbers wrong."""
    return tuple(each for each in mismatches if each.is_fault)


def missing(where: str, name: str, schema: Schema) -> Mismatch:
    """Return the fault that no segment has a column."""
    hint = nearest(name, schema.columns) or f"; it has {listed(schema.columns)}"
    return Mismatch(Difference.COLUMN_MISSING, f"{where}: the data source has no column {name!r}{hint}")


def alternatives(names: Iterable[str]) -> str:
    """Return the end of a sentence about a metric: those that would do."""
    return f"; of this type are {listed(names)}" if names else "; none of its columns has this type"


def listed(names: Iterable[str]) -> str:
    """Return the names in order; of many, the first ones."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _MOST_NAMES} more" if len(ordered) > _MOST_NAMES else ""
    return ", ".join(ordered[:_MOST_NAMES]) + more if ordered else "none"


def some(values: Iterable[str]) -> str:
    """Return the first of some values, in quotes."""
    first, *others = sorted(values)
    return ", ".join(map(repr, (first, *others[:2]))) + (" and others" if others[2:] else "")


def number(rows: int) -> str:
    """Return the beginning of a sentence about so many rows."""
    return f"{rows} row{'s have' if rows != 1 else ' has'}"
