"""Numbers computed from the metrics of the same row. POST_AGGREGATIONS, at the end, is the only list of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from math import isfinite
from operator import add, mul, sub, truediv
from types import MappingProxyType
from typing import Protocol, Self

from gateway.query.aggregations import MetricColumn, Number, finite
from gateway.query.literals import LARGEST_NUMBER, Json
from gateway.query.validation_errors import pointer

Values = Mapping[str, Number | None]
"""The numbers of one row by the names of their columns."""

MOST_OPERANDS = 20
_FUNCTIONS: Mapping[str, Callable[[float, float], float]] = MappingProxyType(
    {"+": add, "-": sub, "*": mul, "/": truediv}
)


class PostAggregation(Protocol):
    """A number that follows from the numbers of the same row. Each one follows the metrics as a column."""

    @property
    def name(self) -> str:
        """The name of the column."""

    @staticmethod
    def schema() -> Json:
        """Return the JSON Schema of the keys beside `type` and `name`."""

    @classmethod
    def parse(cls, body: Json, index: int) -> Self:
        """Read a body that is valid against the schema, the index-th of its report."""

    def to_json(self) -> Json:
        """Return the post-aggregation as the language writes it."""

    def evaluate(self, values: Values) -> float | None:
        """Return the number for a row with these values."""

    def to_druid(self, renamed: Callable[[str], str]) -> Json:
        """Return the post-aggregator in Druid; `renamed` gives the names of the columns in its row."""

    def column(self, empty: Values) -> MetricColumn:
        """Return the column in the answer; `empty` are the values over no rows."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A sum, difference, product or quotient: null if an operand is null, if it divides by zero, or if it is too large.

    `fields` are names of metrics or earlier post-aggregations, and numbers.
    """

    name: str
    function: str
    fields: tuple[str | Number, ...]
    pointer: str

    @staticmethod
    def schema() -> Json:
        field = {"type": ["string", "number"], "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
        return {
            "properties": {
                "fn": {"enum": list(_FUNCTIONS)},
                "fields": {"type": "array", "items": field, "minItems": 2, "maxItems": MOST_OPERANDS},
            },
            "required": ["fn", "fields"],
        }

    @classmethod
    def parse(cls, body: Json, index: int) -> Self:
        return cls(body["name"], body["fn"], tuple(body["fields"]), pointer("post_aggregations", index))

    def to_json(self) -> Json:
        return {"type": "arithmetic", "name": self.name, "fn": self.function, "fields": list(self.fields)}

    def evaluate(self, values: Values) -> float | None:
        found = [values[field] if isinstance(field, str) else field for field in self.fields]
        numbers = [float(each) for each in found if each is not None]
        if len(numbers) < len(found):
            return None
        try:
            result = reduce(_FUNCTIONS[self.function], numbers)
        except ZeroDivisionError:
            return None
        return result if isfinite(result) else None

    def to_druid(self, renamed: Callable[[str], str]) -> Json:
        # Druid computes with longs where it can, and would divide them without a remainder.
        operands = [
            f"cast(\"{renamed(field)}\", 'DOUBLE')" if isinstance(field, str) else f"({float(field)!r})"
            for field in self.fields
        ]
        result = f" {self.function} ".join(operands)
        if self.function == "/":
            is_zero = " || ".join(f"{operand} == 0" for operand in operands[1:])
            result = f"if({is_zero}, null, {result})"
        return finite(renamed(self.name), f"({result})")

    def column(self, empty: Values) -> MetricColumn:
        return MetricColumn(self.name, "float", self.evaluate(empty), self.pointer)


POST_AGGREGATIONS: Mapping[str, type[PostAggregation]] = MappingProxyType({"arithmetic": Arithmetic})
