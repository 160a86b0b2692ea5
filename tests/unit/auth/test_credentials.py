import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.accounts import api_tokens as tokens
from gateway.accounts.api_tokens import ApiToken
from gateway.auth import credentials
from gateway.auth.credentials import BearerToken
from gateway.errors import Unauthenticated

TEXT = "gwt_abcdefg2_" + "A" * 43


def test_a_new_token_has_the_documented_form_and_256_random_bits() -> None:
    made = [tokens.generate() for _ in range(200)]
    assert all(re.fullmatch(r"gwt_[a-z2-7]{8}_[A-Za-z0-9_-]{43}", token.text) for token in made)
    assert len({token.text for token in made}) == 200
    assert all(tokens.parse(token.text) == token for token in made)


def test_a_digest_matches_only_its_token_and_secret() -> None:
    token = tokens.generate()
    stored = tokens.digest(token, b"secret")
    assert tokens.matches(token, stored, b"secret")
    assert not tokens.matches(token, stored, b"another secret")
    other = ApiToken(token.prefix, token.text[:-1] + ("A" if token.text[-1] != "A" else "B"))
    assert not tokens.matches(other, stored, b"secret")
    assert not tokens.matches(token, b"", b"secret")


@pytest.mark.parametrize("header", [f"Token {TEXT}", f"token {TEXT}", f"TOKEN   {TEXT}"])
def test_the_scheme_is_not_case_sensitive(header: str) -> None:
    assert credentials.parse([header], challenge="Token") == ApiToken("abcdefg2", TEXT)


def test_an_access_token_is_returned_unchanged() -> None:
    assert credentials.parse(["Bearer a.b.c"], challenge="Token") == BearerToken("a.b.c")


@pytest.mark.parametrize(
    "values",
    [
        [], [""], [" "], ["Token"], ["Token "], [TEXT], [f"Token{TEXT}"], [f"Token\t{TEXT}"], [f" Token {TEXT}"],
        [f"Token {TEXT} "], [f"Token {TEXT}\n"], [f"Token {TEXT}, Token {TEXT}"], [f"Token {TEXT}"] * 2,
        [f"Token {TEXT}", "Bearer a.b.c"], [f"Token {TEXT}", ""], ["Basic dXNlcjpwYXNz"], ["Bearer"], ["Bearer a b"],
        ["Bearer ä"], [f"Token {TEXT[:-1]}"], [f"Token {TEXT}A"], [f"Token {TEXT.upper()}"], ["Token a.b.c"],
        [f'Token key="{TEXT}"'], ["\x00"], ["Token \ud800"],
    ],
)  # fmt: skip
def test_anything_but_one_credential_is_rejected_with_a_challenge(values: list[str]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        credentials.parse(values, challenge='Token realm="reporting"')
    assert refused.value.headers["WWW-Authenticate"] == 'Token realm="reporting"'


@given(st.lists(st.text(), max_size=3))
def test_any_header_is_parsed_or_rejected_without_repeating_it(values: list[str]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        credentials.parse(values, challenge="Token")
    assert all(value not in refused.value.detail for value in values if len(value) > 12)


def test_a_representation_contains_no_credential() -> None:
    assert "A" * 43 not in repr(credentials.parse([f"Token {TEXT}"], challenge="Token"))
    assert "a.b.c" not in repr(credentials.parse(["Bearer a.b.c"], challenge="Token"))
