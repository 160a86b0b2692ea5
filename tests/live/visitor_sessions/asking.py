"""The interval of all rows, GET requests, and values of the ingested rows."""

import http.client
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.serving import Answer, D, Gateway

EVER = {"start": "2018-12-01T00:00:00", "end": "2020-02-01T00:00:00", "time_zone": "Europe/Helsinki"}
START = "2018-12-01T00:00:00.000+02:00"

Row = dict[str, Any]
Condition = Callable[[Row], bool]


def get(served: Gateway, path: str) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=60)
    try:
        connection.request("GET", path, headers={"Authorization": f"Token {served.tokens[D]}"})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def known(rows: list[Row], column: str) -> list[float]:
    return [row[column] for row in rows if row[column] is not None]
