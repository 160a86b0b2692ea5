"""The client of a cluster's running supervisord, over its Unix socket."""

import http.client
import socket
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import Faults, SupervisorTransport

from druid.errors import ShuttingDownError
from druid.services import Service


@dataclass(frozen=True, slots=True)
class Process:
    """The process of a service: its state in supervisord's terms, its pid, and the seconds since its start."""

    state: str
    pid: int | None
    uptime: float


NOT_RUNNING = Process("STOPPED", None, 0.0)


@dataclass(frozen=True, slots=True)
class Supervisord:
    """The supervisord that listens on `socket`.

    A call raises ConnectionError or FileNotFoundError if there is none, and ShuttingDownError after `shut_down`.
    """

    socket: Path

    def is_alive(self) -> bool:
        """Return whether supervisord is listening. The socket file of a killed one does not count."""
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
        return True

    def identifier(self) -> str:
        return cast("str", self._call("supervisor.getIdentification"))

    def processes(self) -> dict[Service, Process]:
        found = self._call("supervisor.getAllProcessInfo")
        now = time.time()
        return {
            Service(info["name"]): Process(
                state=info["statename"],
                pid=info["pid"] or None,
                uptime=max(0.0, now - info["start"]) if info["pid"] else 0.0,
            )
            for info in found
        }

    def shut_down(self) -> None:
        """Request the end of all services and of supervisord itself. Returns immediately."""
        self._call("supervisor.shutdown")

    # XML-RPC has no types; the public methods add them.
    def _call(self, method: str) -> Any:  # noqa: ANN401
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        try:
            with xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport) as proxy:
                return getattr(proxy, method)()
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == Faults.SHUTDOWN_STATE:
                raise ShuttingDownError from None
            raise
        except http.client.HTTPException as error:
            raise ConnectionError(f"supervisord closed the connection: {error}") from error
