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
from typing import Any, TextIO
from urllib.parse import quote, urlsplit

from druid.errors import ClusterError

_CONFIG = "/druid/coordinator/v1/lookups/config"
_STATUS = "/druid/coordinator/v1/lookups/status/__default"


class RejectedError(ClusterError):
    """The coordinator responded with an error."""


def read(file: TextIO) -> Mapping[str, Mapping[str, str]]:
    """Return the lookups of a file. Raises ClusterError."""
    try:
        found = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ClusterError(f"{file.name} is not JSON: {error}") from None
    if not isinstance(found, dict) or not all(map(_are_names, found.values())):
        raise ClusterError(f'{file.name} is not an object of lookups, such as {{"user_names": {{"17": "Ann"}}}}.')
    return found


def _are_names(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in value.values())


def register(coordinator_url: str, lookups: Mapping[str, Mapping[str, str]], *, seconds: float = 300) -> None:
    """Create or replace the lookups, and wait until every service has loaded them. Raises ClusterError."""
    # The first request of all creates the configuration; an empty one changes nothing.
    _send(coordinator_url, _CONFIG, {})
    for name, names in lookups.items():
        # A lookup is only replaced by one with a later version.
        version = f"{time.time_ns()}-{secrets.token_hex(2)}"
        factory = {"type": "map", "map": dict(names)}
        _send(coordinator_url, _path_of(name), {"version": version, "lookupExtractorFactory": factory})
    deadline = time.monotonic() + seconds
    waiting = list(lookups)
    while waiting := [name for name in waiting if not _is_loaded(coordinator_url, name)]:
        if time.monotonic() > deadline:
            raise ClusterError(f"Druid has not loaded the lookups {', '.join(waiting)} after {seconds:.0f} s.")
        time.sleep(0.5)


def remove(coordinator_url: str, name: str) -> None:
    """Delete a lookup."""
    _send(coordinator_url, _path_of(name), method="DELETE")


def _path_of(name: str) -> str:
    return f"{_CONFIG}/__default/{quote(name, safe='')}"


def _is_loaded(coordinator_url: str, name: str) -> bool:
    try:
        return bool(_send(coordinator_url, f"{_STATUS}/{quote(name, safe='')}", method="GET")["loaded"])
    except RejectedError:
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
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or repr(error)
        raise ClusterError(
            f"The coordinator {coordinator_url} does not respond: {reason}. `python -m druid status` shows the cluster."
        ) from error
    finally:
        connection.close()
    if response.status >= http.HTTPStatus.BAD_REQUEST:
        raise RejectedError(f"The coordinator {coordinator_url} responded with status {response.status} to {path}.")
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise ClusterError(f"{coordinator_url} does not respond like a coordinator.") from error
