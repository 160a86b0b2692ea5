"""The watch over the log of the test run sees what it is there to see."""

import pytest

from gateway.accounts import api_tokens as tokens
from tests.serving import D
from tests.watch import Watch

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "secret",
    [tokens.generate().text, tokens.generate().text[13:], JWT, "visitor-4711"],
    # Both workers must collect the same names.
    ids=["token", "secret of a token", "access token", "value of a filter"],
)
def test_a_secret_in_a_line_is_seen(secret: str) -> None:
    watch = Watch()
    watch.keep_secret(secret)
    watch.saw("{'event': 'request_finished', 'status': 200}")
    assert watch.told() == []
    watch.saw(f"{{'event': 'request_finished', 'detail': 'no such value: {secret}.'}}")
    assert watch.told() != []


def test_whatever_looks_like_a_credential_is_seen() -> None:
    for credential in (tokens.generate().text, JWT):
        watch = Watch()
        watch.saw(f"refused {credential}")
        assert watch.told() != []


def test_what_lines_hold_by_right_is_no_secret() -> None:
    watch = Watch()
    watch.know(D)
    for text in (D, D[:13].upper(), "owner_organization_id", "org", "segments"):
        watch.keep_secret(text)
        watch.saw(f"{{'organization': '{text}'}}")
    assert watch.told() == []
