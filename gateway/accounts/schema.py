"""The schema of the account database: migrating it, and checking that this release can use it."""

import io
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.accounts.database import writing

_SCRIPTS: Final = Path(__file__).parent / "migrations"
# An arbitrary number, the same in every process that migrates: only one of them creates the tables.
_POSTGRESQL_LOCK: Final = 0x61636373
_NO_TABLES: Final = "The account database has no tables yet: run 'gateway accounts migrate'."


class DatabaseNotReady(Exception):
    """The account database cannot be reached, or this release cannot use its tables.

    The message says what to do about it.
    """


async def migrate(engine: AsyncEngine) -> str:
    """Create or update the tables and return the schema's revision. Repeating it changes nothing.

    A database that a newer release has migrated stays as it is.
    """
    if file := _file(engine):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # SQLite would create a file that every user of the machine can read
    async with writing(engine).begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _POSTGRESQL_LOCK})
        revision = await _revision(connection)
        if revision is None or revision in _known():
            await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
    return await check(engine)


async def check(engine: AsyncEngine) -> str:
    """Return the schema's revision; raise `DatabaseNotReady` if this release does not accept it.

    The newest migration lists the accepted revisions. docs/operations.md describes the policy.
    """
    file = _file(engine)
    if file is not None and not file.exists():
        # Connecting would create an empty file.
        raise DatabaseNotReady(
            f"There is no account database {file} yet: set GATEWAY_DATABASE_URL to an existing one, or "
            "run 'gateway accounts migrate'."
        )
    async with engine.connect() as connection:
        revision = await _revision(connection)
    if revision is None:
        raise DatabaseNotReady(_NO_TABLES)
    newest = _newest()
    if revision in newest.module.accepts:
        return revision
    if revision in _known():
        raise DatabaseNotReady(
            f"The account database is at revision {revision}, which is too old for this release "
            f"(revision {newest.revision}): run 'gateway accounts migrate'."
        )
    raise DatabaseNotReady(
        f"The account database is at revision {revision}, which is too new for this release "
        f"(revision {newest.revision}): run a newer release of the gateway."
    )


async def _revision(connection: AsyncConnection) -> str | None:
    return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


def _newest() -> Script:
    scripts = ScriptDirectory.from_config(_config())
    return scripts.get_revision("head")


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config(connection: Connection | None = None) -> Config:
    config = Config(stdout=io.StringIO())
    # "%" would start an interpolation in Alembic's configuration.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _file(engine: AsyncEngine) -> Path | None:
    name = engine.url.database if engine.dialect.name == "sqlite" else None
    return None if name in {None, "", ":memory:"} else Path(str(name))
