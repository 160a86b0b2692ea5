"""Rows by column. What needs no work on single rows stays in this form from Druid's response to the encoder."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from gateway.query.aggregations import Number

Values = Sequence[Any]

Found = tuple[int, Values, Sequence[Number | None]]
"""A row: the index of its bucket, the values of the dimensions, the numbers."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows: the indexes of their buckets, and the values of each dimension and of each number."""

    indexes: Sequence[int] = ()
    dimensions: Sequence[Values] = ()
    numbers: Sequence[Sequence[Number | None]] = ()

    @classmethod
    def of(cls, rows: Sequence[Found]) -> "Batch":
        """Return these rows by column."""
        if not rows:
            return cls()
        indexes, dimensions, numbers = zip(*rows, strict=True)
        return cls(indexes, _transposed(dimensions), _transposed(numbers))

    def rows(self) -> list[Found]:
        """Return the rows one by one."""
        return list(zip(self.indexes, self._by_row(self.dimensions), self._by_row(self.numbers), strict=True))

    def _by_row(self, columns: Sequence[Values]) -> Iterable[tuple[Any, ...]]:
        # Without columns, every row has an empty tuple.
        return zip(*columns, strict=True) if columns else repeat((), len(self.indexes))


def _transposed(values: Iterable[Values]) -> Sequence[Values]:
    return tuple(zip(*values, strict=True))
