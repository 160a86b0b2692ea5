"""Checks whether the broker knows a server for every used segment.

Healthy services are not enough: for about a second after a start the broker does not know all segments of the
historical. It answers without them, with 200 and numbers that are too small.
"""

import collections
import http
import http.client
import json
from typing import Any

from druid.health import get
from druid.services import Ports

ALWAYS = "-146136543-09-08T08:23:32.096Z/146140482-04-24T15:36:27.903Z"


def segments_unserved(ports: Ports) -> dict[str, int] | None:
    """Return the number of used segments that queries would miss, by data source; None if a service does not answer.

    Left out are segments that newer ones replace, and those that the load rules keep on no server.
    """
    try:
        wanted = collections.defaultdict(set)
        for segment in _json(
            ports.coordinator, "/druid/coordinator/v1/metadata/segments?includeOvershadowedStatus=true"
        ):
            if not segment["overshadowed"] and segment["replicationFactor"] != 0:
                partition = segment["shardSpec"].get("partitionNum", 0)
                wanted[segment["dataSource"]].add((segment["interval"], segment["version"], partition))
        unserved = {}
        for source, segments in wanted.items():
            candidates = _json(ports.broker, f"/druid/v2/datasources/{source}/candidates?intervals={ALWAYS}")
            served = {
                (found["interval"], found["version"], found["partitionNumber"])
                for found in candidates
                if found["locations"]
            }
            if segments - served:
                unserved[source] = len(segments - served)
    except (OSError, http.client.HTTPException):
        return None
    return unserved


def _json(port: int, path: str) -> Any:  # noqa: ANN401 - Druid's answers
    answer = get(port, path)
    if answer.status != http.HTTPStatus.OK:
        raise http.client.HTTPException(f"{answer.status} for {path}")
    return json.loads(answer.body)
