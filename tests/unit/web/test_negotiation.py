from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.web.negotiation import preferred_coding, preferred_media_type

JSON, CSV, ARROW = OFFERED = ("application/json", "text/csv", "application/vnd.apache.arrow.stream")
CODINGS = ("zstd", "gzip")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ([], JSON),
        ([""], JSON),
        ([" , "], JSON),
        (["*/*"], JSON),
        ([BROWSER], JSON),
        (["text/csv"], CSV),
        (["TEXT/CSV; charset=utf-8 ;Q=1.000"], CSV),
        (["text/*"], CSV),
        (["text/*;q=0.1, application/json;q=0.2"], JSON),
        (["application/json;q=0.1", "text/csv"], CSV),
        (["application/json;q=0, */*;q=0.1"], CSV),
        (["application/*;q=0.5, application/json;q=0.4"], ARROW),
        (["application/json;q=0"], None),
        (["text/html"], None),
        (["json"], None),
        (["text/csv;q=2"], None),
        (["text/csv;q=0.1234, application/json;q=0.1"], JSON),
    ],
)
def test_the_most_specific_range_decides_and_the_highest_weight_wins(accept: Sequence[str], expected: str) -> None:
    assert preferred_media_type(accept, OFFERED) == expected


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ([], None),
        ([""], None),
        (["identity"], None),
        (["br"], None),
        (["gzip, deflate, br, zstd"], "zstd"),
        (["gzip"], "gzip"),
        (["gzip;q=1.0, zstd;q=0.5"], "gzip"),
        (["*"], "zstd"),
        (["*;q=0.5, gzip"], "gzip"),
        (["zstd;q=0, *"], "gzip"),
        (["gzip;q=0"], None),
        (["identity;q=1, gzip;q=0.5"], None),
        (["identity;q=0.5, gzip;q=0.5"], "gzip"),
    ],
)
def test_the_best_coding_is_chosen(accept_encoding: Sequence[str], expected: str | None) -> None:
    assert preferred_coding(accept_encoding, CODINGS) == expected


@given(st.lists(st.text()))
def test_no_header_is_an_error(headers: list[str]) -> None:
    assert preferred_media_type(headers, OFFERED) in {*OFFERED, None}
    assert preferred_coding(headers, CODINGS) in {*CODINGS, None}


WEIGHTS = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)


@given(st.dictionaries(st.sampled_from(OFFERED), WEIGHTS, min_size=1), st.randoms())
def test_no_offered_type_has_a_higher_weight_than_the_chosen_one(weights: dict[str, float], order: object) -> None:
    elements = [f"{name};q={weight}" for name, weight in weights.items()]
    order.shuffle(elements)  # type: ignore[attr-defined]
    chosen = preferred_media_type(elements, OFFERED)
    best = max(weights.values())
    assert (chosen is None) == (best == 0)
    if chosen is not None:
        assert weights[chosen] == best
