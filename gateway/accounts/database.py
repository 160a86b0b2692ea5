"""Engines for SQLite and PostgreSQL, configured so that both behave alike."""

import re
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_WRITES: Final = "gateway_writes"
_SQLITE: Final = frozenset({"sqlite", "sqlite+aiosqlite"})
_POSTGRESQL: Final = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
# What asyncpg understands of libpq's parameters. It would send any other one to the server as a server setting.
_PARAMETERS: Final = frozenset(
    {
        "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation",
        "ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "host", "port",
        "user", "passfile", "application_name",
    }
)  # fmt: skip
_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def check_url(text: str) -> None:
    """Raise `ValueError`, which never repeats the URL, unless an engine can be created for it."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("not a database URL: use sqlite:///path or postgresql://user:password@host/name") from None
    if url.host is not None and not re.fullmatch(r"[\w.:,-]+", url.host):
        raise ValueError("its host is not valid")
    if url.drivername in _SQLITE:
        if url.host or url.query or not url.database:
            raise ValueError("a SQLite URL consists of sqlite:/// and the path of a file")
        return
    if url.drivername not in _POSTGRESQL:
        raise ValueError("the account database is SQLite (sqlite:///path) or PostgreSQL (postgresql://…)")
    if url.port is not None and not 0 < url.port < 65536:
        raise ValueError("the port is not between 1 and 65535")
    if unknown := sorted(url.query.keys() - _PARAMETERS):
        names = ", ".join(name for name in sorted(_PARAMETERS))
        raise ValueError(f"{len(unknown)} of its parameters are not supported; supported are: {names}")
    mode = url.query.get("sslmode")
    if mode is not None and mode not in _SSL_MODES:
        raise ValueError(f"sslmode is one of: {', '.join(_SSL_MODES)}")


def engine_for(text: str) -> AsyncEngine:
    """Return an engine for a URL that `check_url` accepts, for transactions that read."""
    url = make_url(text)
    # hide_parameters: exceptions must not contain the values of a statement.
    if url.drivername in _SQLITE:
        engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"), hide_parameters=True)
        event.listen(engine.sync_engine, "do_connect", _open_file)
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_on_sqlite)
        return engine
    # asyncpg reads the URL itself, because SQLAlchemy does not know libpq's parameters such as sslmode.
    # pool_pre_ping: after a restart of the server, stale connections are replaced without an error.
    dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return create_async_engine(
        "postgresql+asyncpg://", connect_args={"dsn": dsn}, hide_parameters=True, pool_pre_ping=True
    )


def shown(text: str) -> str:
    """Return the URL without its password and its parameters, for error messages."""
    return make_url(text).set(query={}).render_as_string(hide_password=True)


def writing(engine: AsyncEngine) -> AsyncEngine:
    """Return the same engine for transactions that write."""
    return engine.execution_options(**{_WRITES: True})


def _open_file(_dialect: object, _record: object, arguments: Sequence[str], _parameters: object) -> None:
    # Fails here if the file cannot be opened: after a failure of its own, aiosqlite leaves a thread that can outlive
    # the event loop and then prints a traceback.
    sqlite3.connect(arguments[0]).close()


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401  (the driver's own connection type)
    # Python's driver begins transactions implicitly, which breaks savepoints. `_begin_on_sqlite` begins them instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL: several gateway processes read while one writes.
    for pragma in ("foreign_keys=ON", "journal_mode=WAL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_on_sqlite(connection: Connection) -> None:
    # A transaction that will write takes the lock first: SQLite rejects one that reads and then finds the lock taken.
    # A single SELECT needs no transaction.
    if connection.get_execution_options().get(_WRITES, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
