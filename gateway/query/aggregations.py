"""The aggregations of the language. AGGREGATIONS, at the end, is the only list of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Literal

from pydruid.utils import aggregators

from gateway.catalog.model import Dataset, Dimension
from gateway.query import sources
from gateway.query.filters import Filter
from gateway.query.literals import Json

Number = int | float


class Uniques(Enum):
    """How hyperUnique counts.

    SKETCH builds a HyperLogLog sketch of 2**14 registers from the raw column: within 2 %, as the contract promises, and
    exact for small counts. METRIC reads the hyperUnique metric of the ingestion spec, 2**11 registers: about twice as
    fast for the largest tenants, standard error 2.3 %.
    """

    SKETCH = "sketch"
    METRIC = "metric"


@dataclass(frozen=True, slots=True)
class Native:
    """The aggregators (by name) and post-aggregators in Druid that yield one column of the answer."""

    aggregators: Mapping[str, Json]
    post_aggregators: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Aggregation:
    """A function from many rows to one number.

    `suffix` is the end of the column's name. `result` is the type that callers see, `empty` the value over no rows.
    `build` takes the column's name, the dimension (ROWS if `of_rows`) and how unique values are counted. `sum_prefix`
    and the column's name make the name of the aggregator whose sum may exceed the range of a double; "" if there is
    none.
    """

    name: str
    description: str
    suffix: str
    result: Literal["integer", "float"]
    empty: Number | None
    build: Callable[[str, Dimension, Uniques], Native]
    of_rows: bool = False
    sum_prefix: str = ""


ROWS = Dimension("", "", "The row itself, which count counts.")


def rows_of(dataset: Dataset) -> Dimension:
    """Return what count counts: Druid's rows, or the original rows that they stand for."""
    return ROWS if dataset.rows is None else replace(ROWS, rows_metric=dataset.rows.count_metric)


# The gateway's own columns start with an underscore and their purpose. No column of a caller starts with an underscore,
# and a purpose at the end of the caller's name could produce a name that another column has.
_SUM, _AVG_SUM, _AVG_ROWS, _ROWS = "_sum_", "_avg_sum_", "_avg_rows_", "_rows_"

# Druid returns NaN and infinity as strings. Null instead compares and sorts as the answer shows it.
_IS_FINITE = "abs({}) <= 1.7976931348623157E308"
"""Whether a number is neither NaN nor infinite."""


def _sum(name: str, dimension: Dimension, _: Uniques) -> Native:
    raw = f"{_SUM}{name}"
    # Druid's sum over no values is null; 0.0 also compares and sorts as the answer shows it.
    value = f'nvl("{raw}", 0.0)'
    total = {"type": "expression", "name": name, "expression": f"if({_IS_FINITE.format(value)}, {value}, null)"}
    return Native({raw: sources.total(dimension)}, (total,))


def _avg(name: str, dimension: Dimension, _: Uniques) -> Native:
    total, rows = f"{_AVG_SUM}{name}", f"{_AVG_ROWS}{name}"
    value = f'"{total}"'
    defined = f'"{rows}" > 0 && {_IS_FINITE.format(value)}'
    mean = {"type": "expression", "name": name, "expression": f'if({defined}, {value} / "{rows}", null)'}
    return Native({total: sources.total(dimension), rows: sources.values(dimension)}, (mean,))


def _hyper_unique(name: str, dimension: Dimension, uniques: Uniques) -> Native:
    if uniques is Uniques.METRIC and dimension.unique_metric is not None:
        return Native({name: aggregators.hyperunique(dimension.unique_metric)})
    return Native({name: sources.distinct(dimension)})


def _count(name: str, dimension: Dimension, _: Uniques) -> Native:
    if dimension.rows_metric is None:
        return Native({name: sources.rows(dimension)})
    raw = f"{_ROWS}{name}"
    # Druid's sum over no rows is null; 0 also compares and sorts as the answer shows it.
    count = {"type": "expression", "name": name, "expression": f'nvl("{raw}", 0)'}
    return Native({raw: sources.rows(dimension)}, (count,))


AGGREGATIONS: Mapping[str, Aggregation] = MappingProxyType(
    {
        aggregation.name: aggregation
        for aggregation in (
            Aggregation(
                "avg",
                "The average of the rows' values; null if there are none.",
                "avg",
                "float",
                None,
                _avg,
                sum_prefix=_AVG_SUM,
            ),
            Aggregation("sum", "The sum of the rows' values.", "sum", "float", 0.0, _sum, sum_prefix=_SUM),
            Aggregation(
                "hyperUnique",
                "The number of different values, estimated by HyperLogLog within 2 %.",
                "hyper_unique",
                "float",
                0.0,
                _hyper_unique,
            ),
            Aggregation("count", "The number of rows.", "count", "integer", 0, _count, of_rows=True),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One column of numbers: an aggregation of a dimension (or of ROWS), optionally over filtered rows only.

    `pointer` is the JSON Pointer in the request to what produced the column.
    """

    name: str
    aggregation: Aggregation
    dimension: Dimension
    filter: Filter | None = None
    pointer: str = "/aggregations"

    def to_json(self) -> Json:
        """Return the metric as the language writes an aggregation of one column."""
        body: Json = {"type": self.aggregation.name, "name": self.name}
        if not self.aggregation.of_rows:
            body["fields"] = [self.dimension.name]
        if self.filter is not None:
            body["filter"] = self.filter.to_json()
        return body
