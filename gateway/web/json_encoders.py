"""The formats that consist of JSON."""

from collections.abc import Sequence

import orjson

from gateway.query.columns import Column
from gateway.query.literals import Json
from gateway.query.respond import Columns


class JsonEncoder:
    """One JSON object: the columns, the rows as arrays, and everything else that the answer has."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._fields = [{"name": column.name, "type": column.kind} for column in columns]
        self._separator = b""
        self._before_other = b'],"other":['

    def head(self) -> bytes:
        """Return the columns."""
        return b'{"fields":' + orjson.dumps(self._fields) + b',"data":['

    def rows(self, columns: Columns) -> bytes:
        """Return the rows as arrays, separated from those before them."""
        separator, self._separator = self._separator, b","
        return _inner(separator, orjson.dumps(list(zip(*columns, strict=True))))

    def other(self, columns: Columns) -> bytes:
        """Return rows of the member `other`, the first one after the rows."""
        before, self._before_other = self._before_other, b","
        return _inner(before, orjson.dumps(list(zip(*columns, strict=True))))

    def tail(self, members: Json) -> bytes:
        """Return the remaining members."""
        if self._before_other == b",":
            members = {name: member for name, member in members.items() if name != "other"}
        return _inner(b"],", orjson.dumps(members), b"}") if members else b"]}"


def _inner(before: bytes, encoded: bytes, after: bytes = b"") -> bytes:
    """Return what is between the brackets, without copying it twice: it may be megabytes long."""
    return b"".join((before, memoryview(encoded)[1:-1], after))


class JsonLinesEncoder:
    """One JSON object for each row, on a line of its own."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]

    def head(self) -> bytes:
        """Return nothing: every line names its columns."""
        return b""

    def rows(self, columns: Columns) -> bytes:
        """Return one line for each row."""
        return b"".join(
            orjson.dumps(dict(zip(self._names, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
            for row in zip(*columns, strict=True)
        )

    def other(self, _: Columns) -> bytes:
        """Return nothing: a reader would take them for rows of the groups."""
        return b""

    def tail(self, _: Json) -> bytes:
        """Return nothing: lines are rows only."""
        return b""
