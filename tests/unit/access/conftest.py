"""A real PostgreSQL beside SQLite: whatever is tested of the account store is tested on both."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest
from gateway.access.accounts import Accounts
from gateway.access.settings import AccessSettings
from pydantic import SecretStr

_VERSION = "15"
_MISSING = (
    f"These tests need PostgreSQL {_VERSION}: install it (Debian: apt-get install postgresql-{_VERSION}), or put its "
    "initdb and postgres on PATH."
)


@dataclass(frozen=True, slots=True)
class PostgreSql:
    """A server of this test run's own, on loopback."""

    process: subprocess.Popen[bytes]
    port: int
    password: str

    def url(self, database: str) -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def signal(self, number: signal.Signals) -> None:
        """To the server and all its backends: they are one process group."""
        os.killpg(self.process.pid, number)


def _binary(name: str) -> Path:
    for folder in (None, f"/usr/lib/postgresql/{_VERSION}/bin", f"/usr/pgsql-{_VERSION}/bin"):
        found = shutil.which(name, path=folder)
        if found:
            version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
            if f"(PostgreSQL) {_VERSION}." in version:
                return Path(found)
    pytest.fail(_MISSING, pytrace=False)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def start_postgresql(folder: Path) -> PostgreSql:
    """PostgreSQL refuses to run as root, so that root runs it as the user whom the package made."""
    initdb, postgres = _binary("initdb"), _binary("postgres")
    user = "postgres" if os.getuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    password = secrets.token_hex(16)
    data, log = folder / "data", folder / "log"
    with tempfile.NamedTemporaryFile("w", dir=folder) as password_file:
        password_file.write(password)
        password_file.flush()
        Path(password_file.name).chmod(0o644)
        subprocess.run(
            [
                initdb, "--no-sync", "--username=postgres", f"--pwfile={password_file.name}", "--encoding=UTF8",
                "--locale=C", "--auth=scram-sha-256", data,
            ],
            user=user, check=True, capture_output=True, cwd=folder,
        )  # fmt: skip
    port = _free_port()
    options = {
        "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off",
        "full_page_writes": "off", "shared_buffers": "16MB", "max_connections": "50",
    }  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            [postgres, "-D", data, *(part for name, value in options.items() for part in ("-c", f"{name}={value}"))],
            user=user, cwd=folder, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if b"ready to accept connections" in log.read_bytes():
            return PostgreSql(process, port, password)
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}", pytrace=False)


def stop_postgresql(server: PostgreSql) -> None:
    server.process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
    try:
        server.process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.signal(signal.SIGKILL)
        server.process.wait(timeout=10)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    # Not pytest's own temporary folder: only its owner may enter that one.
    with tempfile.TemporaryDirectory(prefix="gateway-postgresql-") as folder:
        server = start_postgresql(Path(folder))
        try:
            yield server
        finally:
            stop_postgresql(server)


@pytest.fixture
async def postgresql_url(postgresql: PostgreSql) -> str:
    """A new, empty database."""
    database = f"accounts_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgresql.url("postgres"))
    await connection.execute(f"CREATE DATABASE {database}")
    await connection.close()
    return postgresql.url(database)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/accounts.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def settings(database_url: str) -> AccessSettings:
    return AccessSettings(database_url=SecretStr(database_url), token_secret=SecretStr(secrets.token_hex(32)))


@pytest.fixture
async def accounts(settings: AccessSettings) -> AsyncIterator[Accounts]:
    async with Accounts(settings) as accounts:
        await accounts.migrate()
        yield accounts
