"""Apache Arrow's IPC streaming format: typed columns, which pandas, DuckDB and others read without parsing text."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from itertools import accumulate, repeat
from typing import Any, Final

import nanoarrow
from nanoarrow.c_array_stream import CArrayStream
from nanoarrow.ipc import StreamWriter

from gateway.query.columns import Column, ColumnType
from gateway.query.literals import Json
from gateway.query.respond import Columns
from gateway.query.zones import moment_of

_SCHEMAS: Final[Mapping[ColumnType, Callable[[Column], Any]]] = {
    ColumnType.TIME: lambda column: nanoarrow.timestamp("ms", column.zone),
    ColumnType.STRING: lambda _: nanoarrow.string(),
    ColumnType.INTEGER: lambda _: nanoarrow.int64(),
    ColumnType.FLOAT: lambda _: nanoarrow.float64(),
}


@dataclass(frozen=True, slots=True)
class _Buffers:
    """How the values of a column become buffers (https://arrow.apache.org/docs/format/Columnar.html).

    `make` returns the buffers that follow the validity bitmap. `absent` stands for a null in them.
    """

    absent: Any
    make: Callable[[Sequence[Any]], Iterable[Any]]


class ArrowEncoder:
    """A schema, and one record batch for each piece."""

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

    def rows(self, columns: Columns) -> bytes:
        """Return a record batch."""
        arrays = [
            _array(schema, values, buffers) for (schema, buffers), values in zip(self._columns, columns, strict=True)
        ]
        count = len(columns[0])
        batch = nanoarrow.c_array_from_buffers(self._schema, count, [None], null_count=0, children=arrays)
        self._writer.write_array(batch)
        return self._taken()

    def other(self, _: Columns) -> bytes:
        """Return nothing: a reader would take them for rows of the groups."""
        return b""

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


def _array(schema: Any, values: Sequence[Any], buffers: _Buffers) -> Any:  # noqa: ANN401 - nanoarrow's types
    try:
        validity, nulls, made = None, 0, buffers.make(values)
    except (TypeError, AttributeError):
        # Asking for nulls in advance would take as long as making the buffers.
        nulls = values.count(None)
        # The first value is the lowest bit. int() and to_bytes() are faster than setting bits in a loop.
        bits = "".join(["0" if value is None else "1" for value in reversed(values)])
        validity = int(bits, 2).to_bytes(-(-len(values) // 8), "little")
        made = buffers.make([buffers.absent if value is None else value for value in values])
    return nanoarrow.c_array_from_buffers(
        schema, len(values), [validity, *made], null_count=nulls, validation_level="minimal"
    )


def _times(values: Sequence[str]) -> Iterable[Any]:
    if values.count(values[0]) == len(values):
        # Often all rows of a slice have one time.
        return (array("q", [_milliseconds(values[0])]) * len(values),)
    return (array("q", map(_milliseconds, values)),)


@lru_cache(1024)
def _milliseconds(text: str) -> int:
    """Return a time in milliseconds since 1970. Rows are ordered by time, so that most have the time of another."""
    return moment_of(datetime.fromisoformat(text))


def _strings(values: Sequence[str]) -> Iterable[Any]:
    text = "".join(values)
    if text.isascii():
        # Encoding the whole column at once is several times as fast.
        return _offsets(values), text.encode()
    encoded = [value.encode() for value in values]
    return _offsets(encoded), b"".join(encoded)


def _offsets(values: Sequence[str] | Sequence[bytes]) -> Any:  # noqa: ANN401 - array's type
    lengths = {*map(len, values)}
    # Ids usually have one length.
    return (
        _equal_steps(*lengths, len(values))
        if len(lengths) == 1
        else array("i", accumulate(map(len, values), initial=0))
    )


@lru_cache(64)
def _equal_steps(step: int, count: int) -> Any:  # noqa: ANN401 - array's type
    return array("i", accumulate(repeat(step, count), initial=0))


_BUFFERS: Final[Mapping[ColumnType, _Buffers]] = {
    ColumnType.TIME: _Buffers("1970-01-01T00:00:00+00:00", _times),
    ColumnType.STRING: _Buffers("", _strings),
    ColumnType.INTEGER: _Buffers(0, lambda values: (array("q", values),)),
    ColumnType.FLOAT: _Buffers(0.0, lambda values: (array("d", values),)),
}
