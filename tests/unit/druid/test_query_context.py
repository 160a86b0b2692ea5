"""The link that completes the query's context."""

import pytest
from structlog.testing import capture_logs

from gateway.druid.query_context import AddContext
from gateway.druid.responses import TimeoutAboveLimit
from gateway.errors import DeadlineExceeded
from tests.unit.druid.links import failing, query, requested, responding, routed


async def test_druid_learns_the_query_id_and_the_time_that_is_left() -> None:
    next_link = responding()
    await AddContext(next_link).run(routed(requested(query(context={"kept": 1}), seconds=5)))
    context = next_link.requests[0].query.native["context"]
    assert context["queryId"] == "id"
    assert 4000 < context["timeout"] <= 5000
    assert context["kept"] == 1


@pytest.mark.parametrize(("heavy", "others", "lane", "priority"), [(False, 0, None, 0), (True, 3, "heavy", -13)])
async def test_the_more_queries_an_organization_runs_the_lower_is_the_priority(
    heavy: bool,  # noqa: FBT001 - a case
    others: int,
    lane: str | None,
    priority: int,
) -> None:
    next_link = responding()
    await AddContext(next_link).run(routed(requested(heavy=heavy), others=others))
    context = next_link.requests[0].query.native["context"]
    assert (context.get("lane"), context["priority"]) == (lane, priority)


async def test_without_time_left_nothing_is_sent() -> None:
    next_link = responding()
    with pytest.raises(DeadlineExceeded):
        await AddContext(next_link).run(routed(requested(seconds=-1)))
    assert next_link.requests == []


async def test_the_timeout_never_exceeds_a_limit_that_druid_has_named() -> None:
    next_link = failing(TimeoutAboveLimit(2000))
    link = AddContext(next_link)
    with capture_logs() as lines:
        for _ in range(2):
            assert (await link.run(routed(requested(seconds=60)))).rows == [1]
    first, *others = [request.query.native["context"]["timeout"] for request in next_link.requests]
    assert first > 50_000
    assert others == [2000, 2000]
    assert [(line["event"], line["max_query_timeout_ms"]) for line in lines] == [("druid_timeout_limited", 2000)]
