"""The first inputs of each target: valid ones and earlier findings, so that fuzzing gets past the first lines."""

from collections.abc import Iterator
from pathlib import Path

FOUND = Path(__file__).parent / "found"
GOLDEN = Path(__file__).parents[1] / "golden"
HEADERS = (
    b"Token gwt_abcdefgh_0123456789012345678901234567890123456789012",
    b"Bearer eyJhbGciOiJFZERTQSIsImtpZCI6ImZ1enoifQ.eyJzdWIiOiJ1In0.AA",
    b'{"alg":"EdDSA","kid":"fuzz","typ":"at+jwt","crit":["b64"],"b64":false}',
    b'{"sub":"user","iss":"fuzz","aud":["fuzz"],"exp":4102444800,"nbf":0,"iat":1.5,"scope":"reports"}',
    b'{"sub":"user","iss":"fuzz","aud":"fuzz","exp":1e400,"scope":["reports",null]}',
    b"198.51.100.7, ::ffff:10.0.0.1,fd00::1%eth0, 127.0.0.1",
    b'respond-async, wait=10; foo="bar"',
    b"b0a1d32b-e82c-11e4-b081-6c4008adf7e8",
)
REQUEST = b"POST /api/reporting/v1/orgs/b0a1d32b-e82c-11e4-b081-6c4008adf7e8/chat_sessions HTTP/1.1\r\nHost: x\r\n"
AUTHORIZED = REQUEST + b"Authorization: Token TOKEN\r\n"
REQUESTS = (
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"NOT HTTP\r\n\r\n",
    REQUEST + b"Content-Length: 2\r\n\r\n{}",
    AUTHORIZED
    + b"Content-Length: 2\r\n\r\n{}"
    + AUTHORIZED
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    AUTHORIZED + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    AUTHORIZED + b"Transfer-Encoding: gzip, chunked\r\nContent-Encoding: gzip\r\n\r\n2\r\n{}\r\nz\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nrest",
    b"OPTIONS * HTTP/1.0\r\n\r\n",
)


def seeds(target: str) -> Iterator[bytes]:
    """Yield the target's first inputs."""
    yield from {
        "headers": HEADERS,
        "request": REQUESTS,
        "body": [each.read_bytes() for each in sorted(GOLDEN.glob("*/request.json"))],
    }[target]
    yield from (each.read_bytes() for each in sorted(FOUND.glob(f"{target}/*")))
