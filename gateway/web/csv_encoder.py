"""CSV (RFC 4180). The csv module of Python 3.11 cannot distinguish null from an empty string."""

import codecs
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from gateway.query.columns import Column, ColumnType
from gateway.query.literals import Json
from gateway.query.respond import Columns

_FORMULA: Final = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""The first characters with which a spreadsheet takes a text for a formula: https://owasp.org/www-community/attacks/CSV_Injection."""


class CsvEncoder:
    """A line with the names, and one line for each row. Strings are quoted, so that null is an empty field."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._cells = [_CELLS[column.type] for column in columns]

    def head(self) -> bytes:
        """Return the names."""
        return ",".join(self._names).encode() + b"\r\n"

    def rows(self, columns: Columns) -> bytes:
        """Return one line for each row. Working by column is several times as fast as working by row."""
        count, width = len(columns[0]), 2 * len(self._cells) + 1
        pieces = [""] * (width * count)
        before = ""
        for index, (cells, values) in enumerate(zip(self._cells, columns, strict=True)):
            quote, fields = cells(values)
            pieces[2 * index :: width] = [before + quote] * count
            pieces[2 * index + 1 :: width] = fields
            before = f"{quote},"
        pieces[width - 1 :: width] = [f"{before[:-1]}\r\n"] * count
        return "".join(pieces).encode()

    def other(self, _: Columns) -> bytes:
        """Return nothing: a reader would take them for rows of the groups."""
        return b""

    def tail(self, _: Json) -> bytes:
        """Return nothing: lines are rows only."""
        return b""


class SpreadsheetEncoder(CsvEncoder):
    """CSV for people who open it in a spreadsheet: no text is evaluated as a formula, and the encoding is marked."""

    def head(self) -> bytes:
        """Return the byte order mark, from which spreadsheets recognize UTF-8, and the names."""
        return codecs.BOM_UTF8 + super().head()

    def rows(self, columns: Columns) -> bytes:
        """Return one line for each row."""
        return super().rows([list(map(_not_a_formula, values)) for values in columns])


def _not_a_formula(value: Any) -> Any:  # noqa: ANN401 - any value of a row
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


_Fields = tuple[str, Iterable[str]]
"""The quote before and after each field of a column, which may be empty, and the fields."""


def _times(values: Sequence[str | None]) -> _Fields:
    return "", ["" if value is None else value for value in values]


def _strings(values: Sequence[Any]) -> _Fields:
    if None not in values and '"' not in "".join(values):
        # The usual case is much faster: the values are fields as they are.
        return '"', values
    return "", ["" if value is None else '"' + value.replace('"', '""') + '"' for value in values]


def _numbers(values: Sequence[float | None]) -> _Fields:
    # Written as in JSON, and all at once.
    return "", orjson.dumps(values).decode()[1:-1].replace("null", "").split(",")


_CELLS: Final[Mapping[ColumnType, Callable[[Sequence[Any]], _Fields]]] = {
    ColumnType.TIME: _times,
    ColumnType.STRING: _strings,
    ColumnType.INTEGER: _numbers,
    ColumnType.FLOAT: _numbers,
}
"""How the values of a column become fields."""
