"""Engines for the two databases that accounts may be kept in, made to behave alike."""

from typing import Any, Final

from sqlalchemy import Connection, event, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_WRITES: Final = "gateway_writes"


def engine_for(url: str) -> AsyncEngine:
    """An engine for SQLite or PostgreSQL, for reading."""
    sqlite = make_url(url).get_backend_name() == "sqlite"
    # hide_parameters: no value of a statement in any exception's text. pre_ping: a restarted server is no error.
    engine = create_async_engine(url, hide_parameters=True, pool_pre_ping=not sqlite)
    if sqlite:
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_on_sqlite)
    return engine


def writing(engine: AsyncEngine) -> AsyncEngine:
    """The same engine for transactions that write."""
    return engine.execution_options(**{_WRITES: True})


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401  (the driver's own connection type)
    # Python's driver would begin transactions where it sees fit, which breaks savepoints: `_begin_on_sqlite` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL: several gateway processes read while one writes.
    for pragma in ("foreign_keys=ON", "journal_mode=WAL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_on_sqlite(connection: Connection) -> None:
    # Whoever will write waits for its turn at once: SQLite refuses those who read first and find it taken later.
    # A single SELECT needs no transaction.
    if connection.get_execution_options().get(_WRITES, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
