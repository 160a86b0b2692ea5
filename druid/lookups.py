"""Lookups: names of ids that every query service of Druid keeps in memory.

See https://druid.apache.org/docs/33.0.0/querying/lookups. The coordinator passes changes on every
`druid.manager.lookups.period`, which is 5 seconds in this cluster and two minutes by default.
"""

import http
import http.client
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from druid.errors import ClusterError

_CONFIG = "/druid/coordinator/v1/lookups/config"
_STATUS = "/druid/coordinator/v1/lookups/status/__default"


def register(coordinator_url: str, lookups: Mapping[str, Mapping[str, str]], *, seconds: float = 300) -> None:
    """Create or replace the lookups, and wait until every service has loaded them. Raises ClusterError."""
    # The first request of all creates the configuration; an empty one changes nothing.
    _send(coordinator_url, _CONFIG, {})
    for name, names in lookups.items():
        # A lookup is only replaced by one with a later version.
        version = f"{time.time_ns()}-{secrets.token_hex(2)}"
        factory = {"type": "map", "map": dict(names)}
        _send(coordinator_url, f"{_CONFIG}/__default/{name}", {"version": version, "lookupExtractorFactory": factory})
    deadline = time.monotonic() + seconds
    waiting = list(lookups)
    while waiting := [name for name in waiting if not _is_loaded(coordinator_url, name)]:
        if time.monotonic() > deadline:
            raise ClusterError(f"Druid has not loaded the lookups {', '.join(waiting)} after {seconds:.0f} s.")
        time.sleep(0.5)


def remove(coordinator_url: str, name: str) -> None:
    """Delete a lookup."""
    _send(coordinator_url, f"{_CONFIG}/__default/{name}", method="DELETE")


def _is_loaded(coordinator_url: str, name: str) -> bool:
    try:
        return bool(_send(coordinator_url, f"{_STATUS}/{name}", method="GET")["loaded"])
    except http.client.HTTPException:
        # The coordinator does not know a new lookup for some moments.
        return False


def _send(coordinator_url: str, path: str, body: object = None, *, method: str = "POST") -> Any:  # noqa: ANN401 - Druid's answers
    connection = http.client.HTTPConnection(urlsplit(coordinator_url).netloc, timeout=30)
    try:
        connection.request(
            method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        raise http.client.HTTPException(f"{response.status} for {path}")
    return json.loads(text) if text else None
