"""Statements of one transaction, shared by all parts of the administration."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Row, Select, Table, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


class Rejected(Exception):
    """The change is not possible; the message says why."""


def parsed(kind: TypeAdapter[T], value: object) -> T:
    """Return `value` as `kind`, or raise `Rejected`."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        # Of several values, the one that is wrong.
        raise Rejected(f"{first['input']!r}: {first['msg'].removeprefix('Value error, ')}.") from None


def encodable(text: str) -> str:
    """Return `text`, or raise `Rejected` if a database cannot store it: a shell passes any bytes as arguments."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Rejected(f"{text!r} is not UTF-8 text.") from None
    return text


class Changes:
    """Statements over one connection, within its open transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._new = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert

    async def rows(self, statement: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return all rows of the result."""
        return (await self._connection.execute(statement)).all()

    async def insert(self, table: Table, values: Mapping[str, object], *, taken: str) -> None:
        """Insert a row, or raise `Rejected` with the message `taken` if one of its keys exists."""
        # Skip an existing key instead of failing: on PostgreSQL, an error would end the whole transaction.
        statement = self._new(table).values(**values).on_conflict_do_nothing()
        if (await self._connection.execute(statement)).rowcount == 0:
            raise Rejected(taken)

    async def update(
        self, table: Table, key: Mapping[str, object], values: Mapping[str, object], *, taken: str | None = None
    ) -> bool:
        """Update the row with this key and return whether it exists. `taken` is the message for other unique keys."""
        statement = update(table).where(*(table.c[name] == value for name, value in key.items())).values(**values)
        if taken is None:
            return (await self._connection.execute(statement)).rowcount > 0
        try:
            async with self._connection.begin_nested():
                return (await self._connection.execute(statement)).rowcount > 0
        except IntegrityError:
            raise Rejected(taken) from None
