"""What callers control, sent to a running gateway: every response must be a result or a clear error, and in time.

Each target takes any bytes. An exception is a finding.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from tests.fuzz.running import Response, fuzzed_gateway, packed, signed
from tests.serving import D

PREFIX: Final = "/api/reporting/v1/orgs"

# What no field value may contain (RFC 9110, 5.5).
_FORBIDDEN = re.compile(rb"[\x00\r\n]")
_LONGEST_FIELD = 6_000


def body(data: bytes) -> None:
    """The body of a report, run and explained."""
    gateway = fuzzed_gateway()
    headers = {"Authorization": f"Token {gateway.gateway.tokens[D]}".encode()}
    for query in ("", "?explain=true"):
        check(gateway.request(gateway.gateway.path() + query, headers, data))


def headers(data: bytes) -> None:
    """The header fields Authorization, X-Forwarded-For, Prefer and traceparent, and the organization in the path."""
    gateway = fuzzed_gateway()
    value = _FORBIDDEN.sub(b"", data)[:_LONGEST_FIELD]
    valid = f"Token {gateway.gateway.tokens[D]}".encode()
    others = dict.fromkeys(("X-Forwarded-For", "Prefer", "traceparent", "Accept"), value[: _LONGEST_FIELD // 4])
    check(gateway.request(gateway.gateway.path(), {"Authorization": valid, **others}, b"{}"))
    # A header of any content, and claims of any content whose signature is valid.
    token = packed(data[: _LONGEST_FIELD // 2])
    for credential in (value, f"Bearer {token}.{token}.AA".encode(), f"Bearer {signed(data[:3000])}".encode()):
        check(gateway.request(gateway.gateway.path(), {"Authorization": credential[:_LONGEST_FIELD]}, b"{}"))
    path = f"{PREFIX}/{quote(value[:1000], safe='')}/chat_sessions"
    check(gateway.request(path, {"Authorization": valid}, b"{}"))


def request(data: bytes) -> None:
    """The bytes of a connection: requests, or anything else."""
    gateway = fuzzed_gateway()
    token = gateway.gateway.tokens[D].encode()
    received = gateway.send(data.replace(b"TOKEN", token))
    assert b"HTTP/1.1 500" not in received, received[-1000:]


TARGETS: Mapping[str, Callable[[bytes], None]] = {"body": body, "headers": headers, "request": request}


def check(response: Response) -> None:
    """Raise if the response is neither a result nor a clear error of the caller's."""
    if response.status == 200:
        assert response.content_type == "application/json"
        json.loads(response.body)
        return
    assert response.content_type == "application/problem+json", response
    problem = json.loads(response.body)
    assert 400 <= problem["status"] == response.status < 500, problem


def check_input(target: str, data: bytes) -> None:
    """Try one input; raises if there is a finding."""
    TARGETS[target](data)
