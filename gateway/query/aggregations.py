"""The aggregations of the language: one entry each in AGGREGATIONS, the only list of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Literal

from pydruid.utils import aggregators
from pydruid.utils.filters import Filter as DruidFilter

from gateway.catalog.model import Dimension
from gateway.query.filters import Filter, native
from gateway.query.literals import Json

Number = int | float


class Uniques(Enum):
    """What unique values are counted with.

    SKETCH reads the raw column into a HyperLogLog sketch of 2**14 registers: within 2 %, as the contract promises, and
    exact for small counts. METRIC reads the hyperUnique metric of the ingestion spec, 2**11 registers: about twice as
    fast for the largest tenants, 2.3 % standard error.
    """

    SKETCH = "sketch"
    METRIC = "metric"


@dataclass(frozen=True, slots=True)
class Native:
    """The aggregators and post-aggregators that together make one column of the answer, by their name in Druid."""

    aggregators: Mapping[str, Json]
    post_aggregators: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Aggregation:
    """A way to make one number of many rows.

    `suffix` ends the column's name. `result` is the type that callers see, `empty` the value over no rows.
    `build` takes the column's name, the dimension (ROWS where `of_rows`) and how unique values are counted.
    """

    name: str
    description: str
    suffix: str
    result: Literal["integer", "float"]
    empty: Number | None
    build: Callable[[str, Dimension, Uniques], Native]
    of_rows: bool = False


ROWS = Dimension("", "", "The row itself, which is what count counts.")

# The gateway's own columns begin with an underscore, which no name of a caller's does, and with what they are for: put
# behind the caller's name it could make two columns alike.


def _sum(name: str, dimension: Dimension, _: Uniques) -> Native:
    raw = f"_sum_{name}"
    # Druid's sum over no values is null; as 0.0 it also sorts and compares as the answer shows it.
    total = {"type": "expression", "name": name, "expression": f'nvl("{raw}", 0.0)'}
    return Native({raw: aggregators.doublesum(dimension.column)}, (total,))


def _avg(name: str, dimension: Dimension, _: Uniques) -> Native:
    total, rows = f"_avg_sum_{name}", f"_avg_rows_{name}"
    present = DruidFilter(type="not", field=native({"type": "null", "column": dimension.column}))
    mean = {"type": "expression", "name": name, "expression": f'if("{rows}" > 0, "{total}" / "{rows}", null)'}
    return Native(
        {total: aggregators.doublesum(dimension.column), rows: aggregators.filtered(present, {"type": "count"})},
        (mean,),
    )


def _hyper_unique(name: str, dimension: Dimension, uniques: Uniques) -> Native:
    if uniques is Uniques.METRIC and dimension.unique_metric is not None:
        return Native({name: aggregators.hyperunique(dimension.unique_metric)})
    # Rounded: five is 5.0 and not 5.0000000124, also where `having` compares.
    return Native({name: {"type": "HLLSketchBuild", "fieldName": dimension.column, "lgK": 14, "round": True}})


def _count(name: str, _: Dimension, __: Uniques) -> Native:
    return Native({name: {"type": "count"}})


AGGREGATIONS: Mapping[str, Aggregation] = MappingProxyType(
    {
        aggregation.name: aggregation
        for aggregation in (
            Aggregation(
                "avg", "The average of the rows' values; null where there are none.", "avg", "float", None, _avg
            ),
            Aggregation("sum", "The sum of the rows' values.", "sum", "float", 0.0, _sum),
            Aggregation(
                "hyperUnique",
                "How many different values there are, by HyperLogLog: at most 2 % off.",
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
    """One column of numbers: an aggregation of a dimension (or of ROWS), perhaps of filtered rows alone."""

    name: str
    aggregation: Aggregation
    dimension: Dimension
    filter: Filter | None = None

    def to_json(self) -> Json:
        """Return the metric as the language writes an aggregation of one column."""
        body: Json = {"type": self.aggregation.name, "name": self.name}
        if not self.aggregation.of_rows:
            body["fields"] = [self.dimension.name]
        if self.filter is not None:
            body["filter"] = self.filter.to_json()
        return body
