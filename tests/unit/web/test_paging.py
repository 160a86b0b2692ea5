"""The links between pages, apart from HTTP: what a token is valid for."""

import pytest

from gateway.errors import DataChanged
from gateway.web.paging import Page, _read, version_of
from tests.unit.druid.links import responded

KEY, VERSION, NOW = b"k" * 32, bytes(range(16)), 1_574_000_000_123


def page(version: bytes | None = None) -> Page:
    return Page(NOW, version, 10, "/report?q={}", b"subject", KEY)


def token(of: Page = page(), version: bytes = VERSION) -> str:  # noqa: B008 - it is immutable
    link = of.links(version, 10)["Link"]
    return link.removeprefix("</report?q={}&page=").removesuffix('>; rel="next"')


def test_a_token_contains_the_time_and_the_version_of_the_first_page() -> None:
    assert _read(token(), KEY, b"subject") == (NOW, VERSION)
    assert token(page(VERSION)) == token()


@pytest.mark.parametrize("rows", [0, 9])
def test_a_page_that_is_not_full_is_the_last_one(rows: int) -> None:
    for version in (VERSION, None):
        assert page().links(version, rows) == {}


def test_no_link_leads_to_data_without_a_version() -> None:
    with pytest.raises(DataChanged):
        page().links(None, 10)


def test_a_further_page_needs_the_version_of_the_first_one() -> None:
    page().check(None)
    page(VERSION).check(VERSION)
    for other in (None, VERSION[::-1]):
        with pytest.raises(DataChanged):
            page(VERSION).check(other)


@pytest.mark.parametrize("wrong", ["", "x", "ü", "AAAA", "A" * 56, token()[:-1], token()[1:], "%"])
def test_a_token_that_the_gateway_did_not_make_is_rejected(wrong: str) -> None:
    with pytest.raises(DataChanged):
        _read(wrong, KEY, b"subject")


@pytest.mark.parametrize(("key", "subject"), [(b"x" * 32, b"subject"), (KEY, b"another"), (KEY, b"")])
def test_a_token_is_valid_for_one_subject_and_key(key: bytes, subject: bytes) -> None:
    with pytest.raises(DataChanged):
        _read(token(), key, subject)


def test_every_change_of_a_token_invalidates_it() -> None:
    valid = token()
    for index in range(len(valid) - 1):
        changed = valid[:index] + ("A" if valid[index] != "A" else "B") + valid[index + 1 :]
        with pytest.raises(DataChanged):
            _read(changed, KEY, b"subject")


async def test_the_version_of_several_responses_depends_on_each() -> None:
    def versions(*names: str | None) -> bytes | None:
        return version_of({str(number): responded([], version=name) for number, name in enumerate(names)})

    assert versions("a", None) is None
    found = [versions("a"), versions("b"), versions("a", "b"), versions("b", "a")]
    assert len({*found}) == 4
    assert versions("a", "b") == versions("a", "b")
    assert len(found[0] or b"") == len(VERSION)
