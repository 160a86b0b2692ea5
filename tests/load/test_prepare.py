"""The preparation of a load: every report is explained and answered once."""

import pytest

from tests.load.errors import LoadError
from tests.load.mix import questions
from tests.load.prepare import explained
from tests.load.scenario import Caller
from tests.serving import D, Gateway, P


async def test_reports_get_their_native_query_and_number_of_rows(hand_counted_gateway: Gateway) -> None:
    callers = [Caller(each, hand_counted_gateway.tokens[each]) for each in (D, P)]
    asked = tuple(questions(callers, seed=1))
    done: list[int] = []
    ready = await explained(hand_counted_gateway.url, asked, done.append)
    assert [each.body for each in ready] == [each.body for each in asked]
    assert done == list(range(1, len(asked) + 1))
    for each in ready:
        if each.code is not None:
            assert each.native is None
            continue
        assert each.native is not None
        assert "test_hand_counted_" in each.native
        assert each.rows is not None


async def test_a_token_that_is_not_accepted_ends_the_preparation(hand_counted_gateway: Gateway) -> None:
    asked = tuple(questions([Caller(D, "gwt_wrong")], seed=1))
    with pytest.raises(LoadError, match=r"Before the load, .* unauthenticated"):
        await explained(hand_counted_gateway.url, asked, lambda _: None)
