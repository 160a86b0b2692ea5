"""The aggregations of the language. AGGREGATIONS, at the end, is the only list of them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Literal

from pydruid.utils import aggregators

from gateway.catalog.model import Dataset, Dimension, Kind
from gateway.query import sources
from gateway.query.filters import Filter
from gateway.query.literals import Json

Number = int | float
ResultType = Literal["integer", "float"]


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
class MetricColumn:
    """A column of numbers in the answer.

    `empty` is its value over no rows, `null` what a null of Druid stands for. `pointer` is the JSON Pointer in the
    request to what produced the column. `raw` names the column of Druid whose value shows that a null stands for a
    number that is not finite.
    """

    name: str
    result: ResultType
    empty: Number | None
    pointer: str
    null: Number | None = None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Aggregation:
    """A function from many rows to one number.

    `suffix` makes the end of a column's name from the body. `result` is the type that callers see, `empty` the value
    over no rows, `weight` how much work it is for Druid, in sums. `build` takes the metric and how unique values are
    counted. `raw_prefix` and the column's name make the name of the aggregator whose value shows that a null stands for
    a number that is not finite; "" if there is none. `parameters` has the JSON Schemas of the keys that only this
    aggregation has, all of which are required. `exact` are the types of dimensions for which Druid computes the same
    number each time: the last digit of a sum of fractions depends on the order of the rows, and sketches are random.
    """

    name: str
    description: str
    suffix: Callable[[Json], str]
    result: ResultType
    empty: Number | None
    build: Callable[["Metric", Uniques], Native]
    of_rows: bool = False
    raw_prefix: str = ""
    weight: int = 1
    parameters: Mapping[str, Json] = field(default_factory=dict)
    exact: Collection[Kind] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One column of numbers: an aggregation of a dimension (or of ROWS), optionally over filtered rows only.

    `parameters` are the values of the keys that only the aggregation has. `pointer` is the JSON Pointer in the request
    to what produced the column.
    """

    name: str
    aggregation: Aggregation
    dimension: Dimension
    filter: Filter | None = None
    pointer: str = "/aggregations"
    parameters: tuple[tuple[str, Number], ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether Druid computes the same number each time."""
        return self.dimension.kind in self.aggregation.exact

    @property
    def column(self) -> MetricColumn:
        """The metric as a column of the answer."""
        how = self.aggregation
        return MetricColumn(self.name, how.result, how.empty, self.pointer, how.empty, f"{how.raw_prefix}{self.name}")

    def to_json(self) -> Json:
        """Return the metric as the language writes an aggregation of one column."""
        body: Json = {"type": self.aggregation.name, "name": self.name, **dict(self.parameters)}
        if not self.aggregation.of_rows:
            body["fields"] = [self.dimension.name]
        if self.filter is not None:
            body["filter"] = self.filter.to_json()
        return body


ROWS = Dimension("", "", "The row itself, which count counts.")


def rows_of(dataset: Dataset) -> Dimension:
    """Return what count counts: Druid's rows, or the original rows that they stand for."""
    return replace(ROWS, rows_metric=dataset.count_metric)


# The gateway's own columns start with an underscore and their purpose. No column of a caller starts with an underscore,
# and a purpose at the end of the caller's name could produce a name that another column has.
_SUM, _AVG_SUM, _AVG_ROWS, _ROWS, _MIN, _MAX = "_sum_", "_avg_sum_", "_avg_rows_", "_rows_", "_min_", "_max_"
_SKETCH, _QUANTILE = "_sketch_", "_quantile_"

# Druid returns NaN and infinity as strings. Null instead compares and sorts as the answer shows it.
_IS_FINITE = "abs({}) <= 1.7976931348623157E308"
"""Whether a number is neither NaN nor infinite."""


def finite(name: str, expression: str) -> Json:
    """Return the post-aggregator for a number of an answer: null if the expression is not a finite number."""
    value = f"if({_IS_FINITE.format(expression)}, {expression}, null)"
    return {"type": "expression", "name": name, "expression": value}


def _sum(metric: Metric, _: Uniques) -> Native:
    raw = f"{_SUM}{metric.name}"
    # Druid's sum over no values is null; 0.0 also compares and sorts as the answer shows it.
    total = finite(metric.name, f'nvl("{raw}", 0.0)')
    return Native({raw: sources.total(metric.dimension)}, (total,))


def _avg(metric: Metric, _: Uniques) -> Native:
    total, rows = f"{_AVG_SUM}{metric.name}", f"{_AVG_ROWS}{metric.name}"
    value = f'"{total}"'
    defined = f'"{rows}" > 0 && {_IS_FINITE.format(value)}'
    mean = {"type": "expression", "name": metric.name, "expression": f'if({defined}, {value} / "{rows}", null)'}
    return Native({total: sources.total(metric.dimension), rows: sources.values(metric.dimension)}, (mean,))


def _min(metric: Metric, _: Uniques) -> Native:
    raw = f"{_MIN}{metric.name}"
    return Native({raw: sources.least(metric.dimension)}, (finite(metric.name, f'"{raw}"'),))


def _max(metric: Metric, _: Uniques) -> Native:
    raw = f"{_MAX}{metric.name}"
    return Native({raw: sources.greatest(metric.dimension)}, (finite(metric.name, f'"{raw}"'),))


def _quantile(metric: Metric, uniques: Uniques) -> Native:
    fraction = dict(metric.parameters)["fraction"]
    # A sketch knows the extremes only within its error of rank.
    for extreme, kind, exact in ((0.0, "min", _min), (1.0, "max", _max)):
        if fraction == extreme and sources.has(metric.dimension, kind):
            return exact(metric, uniques)
    sketch, raw = f"{_SKETCH}{metric.name}", f"{_QUANTILE}{metric.name}"
    # Over no rows, Druid's quantile is NaN.
    estimate = {
        "type": "quantilesDoublesSketchToQuantile",
        "name": raw,
        "fraction": fraction,
        "field": {"type": "fieldAccess", "fieldName": sketch},
    }
    return Native({sketch: sources.quantiles(metric.dimension)}, (estimate, finite(metric.name, f'"{raw}"')))


def _percent(body: Json) -> str:
    """Return p50 for 0.5, and p99_9 for 0.999."""
    return f"p{Decimal(repr(abs(float(body['fraction'])))) * 100:f}".rstrip("0").rstrip(".").replace(".", "_")


def _hyper_unique(metric: Metric, uniques: Uniques) -> Native:
    dimension = metric.dimension
    if uniques is Uniques.METRIC and dimension.unique_metric is not None:
        return Native({metric.name: aggregators.hyperunique(dimension.unique_metric)})
    return Native({metric.name: sources.distinct(dimension)})


def _count(metric: Metric, _: Uniques) -> Native:
    if metric.dimension.rows_metric is None:
        return Native({metric.name: sources.rows(metric.dimension)})
    raw = f"{_ROWS}{metric.name}"
    # Druid's sum over no rows is null; 0 also compares and sorts as the answer shows it.
    count = {"type": "expression", "name": metric.name, "expression": f'nvl("{raw}", 0)'}
    return Native({raw: sources.rows(metric.dimension)}, (count,))


_EVERY_KIND = tuple(Kind)


def _ends_with(suffix: str) -> Callable[[Json], str]:
    return lambda _: suffix


AGGREGATIONS: Mapping[str, Aggregation] = MappingProxyType(
    {
        aggregation.name: aggregation
        for aggregation in (
            Aggregation(
                "avg",
                "The average of the rows' values; null if there are none.",
                _ends_with("avg"),
                "float",
                None,
                _avg,
                raw_prefix=_AVG_SUM,
                exact=(Kind.LONG,),
            ),
            Aggregation(
                "sum",
                "The sum of the rows' values.",
                _ends_with("sum"),
                "float",
                0.0,
                _sum,
                raw_prefix=_SUM,
                exact=(Kind.LONG,),
            ),
            Aggregation(
                "min",
                "The smallest of the rows' values; null if there are none.",
                _ends_with("min"),
                "float",
                None,
                _min,
                raw_prefix=_MIN,
                exact=_EVERY_KIND,
            ),
            Aggregation(
                "max",
                "The largest of the rows' values; null if there are none.",
                _ends_with("max"),
                "float",
                None,
                _max,
                raw_prefix=_MAX,
                exact=_EVERY_KIND,
            ),
            Aggregation(
                "quantile",
                "The value below which this fraction of the rows' values is, with an error of rank of at most 1 %; "
                "null if there are none.",
                _percent,
                "float",
                None,
                _quantile,
                weight=4,
                parameters=MappingProxyType({"fraction": {"type": "number", "minimum": 0, "maximum": 1}}),
            ),
            Aggregation(
                "hyperUnique",
                "The number of different values, estimated by HyperLogLog within 2 %.",
                _ends_with("hyper_unique"),
                "float",
                0.0,
                _hyper_unique,
                weight=4,
            ),
            Aggregation(
                "count",
                "The number of rows.",
                _ends_with("count"),
                "integer",
                0,
                _count,
                of_rows=True,
                exact=_EVERY_KIND,
            ),
        )
    }
)
