"""What fuzzing begins with: good inputs and bad ones that are known, so that it gets past the first lines of code."""

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


def seeds(target: str) -> Iterator[bytes]:
    """Yield the target's first inputs, what was once found among them."""
    yield from HEADERS if target == "headers" else (each.read_bytes() for each in sorted(GOLDEN.glob("*/request.json")))
    yield from (each.read_bytes() for each in sorted(FOUND.glob(f"{target}/*")))
