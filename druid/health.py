"""Health checks of services."""

import http.client
import socket
from dataclasses import dataclass

from druid.services import READY_PATHS, Ports, Service

# A local service that needs longer is not ready.
PROBE_SECONDS = 2.0


def is_healthy(service: Service, ports: Ports) -> bool:
    port = ports.of(service)
    try:
        if service is Service.ZOOKEEPER:
            return _zookeeper_serves(port)
        return get(port, READY_PATHS[service]).status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


def get(port: int, path: str) -> Answer:
    """Raises OSError or HTTPException if there is no response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()


def _zookeeper_serves(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=PROBE_SECONDS) as connection:
        connection.sendall(b"srvr")
        return connection.recv(64).startswith(b"Zookeeper version")
