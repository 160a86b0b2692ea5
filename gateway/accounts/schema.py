"""The account database's schema: bringing it up to date, and refusing to run on another one."""

import io
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.accounts.database import writing

_SCRIPTS: Final = Path(__file__).parent / "migrations"
# Any number, the same in every process that migrates: two at once would make the same tables twice.
_POSTGRESQL_LOCK: Final = 0x61636373
_NO_TABLES: Final = "The account database has no tables yet: run 'gateway accounts migrate'."


class DatabaseNotReady(Exception):
    """The account database cannot be reached, or its tables are not those of this version of the gateway.

    The text says what to do about it.
    """


def _config(connection: Connection | None = None) -> Config:
    config = Config(stdout=io.StringIO())
    # "%" would start an interpolation in Alembic's configuration.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def migrate(engine: AsyncEngine) -> str:
    """Bring the tables up to date and return the schema's revision. Nothing happens when they are already."""
    if file := _file(engine):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)  # SQLite itself would let everybody on the machine read it
    async with writing(engine).begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _POSTGRESQL_LOCK})
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), "head"))
    return await check(engine)


async def check(engine: AsyncEngine) -> str:
    """The schema's revision, or `DatabaseNotReady` with what to do about it."""
    file = _file(engine)
    if file is not None and not file.exists():
        raise DatabaseNotReady(_NO_TABLES)  # connecting would make an empty file
    async with engine.connect() as connection:
        found = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    scripts = ScriptDirectory.from_config(_config())
    head = scripts.get_current_head()
    if found is None:
        raise DatabaseNotReady(_NO_TABLES)
    if found != head:
        known = {script.revision for script in scripts.walk_revisions()}
        if found not in known:
            raise DatabaseNotReady(
                f"The account database is at revision {found}, which this version of the gateway does not know: "
                "a newer version has migrated it. Run that version."
            )
        raise DatabaseNotReady(
            f"The account database is at revision {found}, this version of the gateway needs {head}: "
            "run 'gateway accounts migrate'."
        )
    return found


def _file(engine: AsyncEngine) -> Path | None:
    name = engine.url.database if engine.dialect.name == "sqlite" else None
    return None if name in {None, "", ":memory:"} else Path(str(name))
