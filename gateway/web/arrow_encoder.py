"""Apache Arrow's IPC streaming format: typed columns, which pandas, DuckDB and others read without parsing text."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from io import BytesIO
from itertools import accumulate
from typing import Any, Final

import nanoarrow
from nanoarrow.c_array_stream import CArrayStream
from nanoarrow.ipc import StreamWriter

from gateway.query.columns import Column, ColumnType
from gateway.query.literals import Json
from gateway.query.respond import Row
from gateway.query.zones import EPOCH

_SCHEMAS: Final[Mapping[ColumnType, Callable[[Column], Any]]] = {
    ColumnType.TIME: lambda column: nanoarrow.timestamp("ms", column.zone),
    ColumnType.STRING: lambda _: nanoarrow.string(),
    ColumnType.INTEGER: lambda _: nanoarrow.int64(),
    ColumnType.FLOAT: lambda _: nanoarrow.float64(),
}


class ArrowEncoder:
    """A schema and one record batch for each piece."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._out = BytesIO()
        self._writer = StreamWriter.from_writable(self._out)
        self._schema = nanoarrow.c_schema(
            nanoarrow.struct({column.name: _SCHEMAS[column.type](column) for column in columns})
        )
        self._columns = [(self._schema.child(index), _BUFFERS[column.type]) for index, column in enumerate(columns)]

    def head(self) -> bytes:
        """Return the schema."""
        self._writer.write_stream(CArrayStream.from_c_arrays([], self._schema))
        return self._taken()

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return a record batch."""
        arrays = [
            _array(schema, values, buffers)
            for (schema, buffers), values in zip(self._columns, zip(*rows, strict=True), strict=True)
        ]
        batch = nanoarrow.c_array_from_buffers(self._schema, len(rows), [None], null_count=0, children=arrays)
        self._writer.write_array(batch)
        return self._taken()

    def tail(self, _: Json) -> bytes:
        """Return the end of the stream."""
        self._writer.close()
        return self._taken()

    def _taken(self) -> bytes:
        """Return what has been written since the last call."""
        written = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        return written


def _array(schema: Any, values: Sequence[Any], buffers: Callable[[Sequence[Any]], list[Any]]) -> Any:  # noqa: ANN401 - nanoarrow's types
    validity, nulls = None, values.count(None)
    if nulls:
        # The first value is the lowest bit. int() and to_bytes() are faster than setting bits in a loop.
        bits = "".join(["0" if value is None else "1" for value in reversed(values)])
        validity = int(bits, 2).to_bytes(-(-len(values) // 8), "little")
    return nanoarrow.c_array_from_buffers(schema, len(values), [validity, *buffers(values)], null_count=nulls)


def _times(values: Sequence[str | None]) -> list[Any]:
    return [array("q", [0 if value is None else _milliseconds(value) for value in values])]


@lru_cache(1024)
def _milliseconds(text: str) -> int:
    """Return a time in milliseconds since 1970. Rows are ordered by time, so that most have the time of another."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def _strings(values: Sequence[str | None]) -> list[Any]:
    encoded = [b"" if value is None else value.encode() for value in values]
    return [array("i", accumulate(map(len, encoded), initial=0)), b"".join(encoded)]


def _integers(values: Sequence[int | None]) -> list[Any]:
    return [array("q", [value or 0 for value in values])]


def _floats(values: Sequence[float | None]) -> list[Any]:
    return [array("d", [0.0 if value is None else value for value in values])]


_BUFFERS: Final[Mapping[ColumnType, Callable[[Sequence[Any]], list[Any]]]] = {
    ColumnType.TIME: _times,
    ColumnType.STRING: _strings,
    ColumnType.INTEGER: _integers,
    ColumnType.FLOAT: _floats,
}
"""The buffers of each type after the validity bitmap: https://arrow.apache.org/docs/format/Columnar.html."""
