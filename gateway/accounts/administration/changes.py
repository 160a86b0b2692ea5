"""What all parts of the account store's administration are written with."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Row, Select, Table, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")


class Refused(Exception):
    """The change cannot be made; the text says why."""


def parsed(kind: TypeAdapter[T], value: object) -> T:
    """`value` as `kind`, or `Refused`."""
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise Refused(f"{value!r}: {first['msg'].removeprefix('Value error, ')}.") from None


class Changes:
    """Statements over one connection, inside the transaction that it has open."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._new = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert

    async def rows(self, statement: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
        """All rows of the answer."""
        return (await self._connection.execute(statement)).all()

    async def insert(self, table: Table, values: Mapping[str, object], *, taken: str) -> None:
        """Add a row, or raise `Refused` with the sentence `taken` where one of its keys is in use."""
        # Skipping a taken row rather than failing on it: an error would end the whole transaction on PostgreSQL.
        statement = self._new(table).values(**values).on_conflict_do_nothing()
        if (await self._connection.execute(statement)).rowcount == 0:
            raise Refused(taken)

    async def update(
        self, table: Table, key: Mapping[str, object], values: Mapping[str, object], *, taken: str | None = None
    ) -> bool:
        """Change the row with this key; whether there is one. With `taken`, as for `insert`, other keys may clash."""
        statement = update(table).where(*(table.c[name] == value for name, value in key.items())).values(**values)
        if taken is None:
            return (await self._connection.execute(statement)).rowcount > 0
        try:
            async with self._connection.begin_nested():
                return (await self._connection.execute(statement)).rowcount > 0
        except IntegrityError:
            raise Refused(taken) from None
