"""The example request of the contract, with a real Druid."""

import pytest

from tests.serving import D, Gateway

EXAMPLE = {
    "interval": {
        "start": "2019-01-01T00:00:00.000+02:00",
        "end": "2019-01-01T23:59:59.999+02:00",
        "time_zone": "Europe/Helsinki",
    },
    "granularity": "all",
    "group_by": [],
    "aggregations": [{"type": "hyperUnique", "fields": ["visitor_ids"]}],
    "filters": {
        "type": "and",
        "fields": [
            {"type": "selector", "dimension": "scope", "value": "org"},
            {"type": "selector", "dimension": "chat_type", "value": "visitor"},
            {"type": "selector", "dimension": "chat_initiator", "value": "visitor"},
        ],
    },
}


def test_the_documented_example_is_answered_as_documented(hand_counted_gateway: Gateway) -> None:
    answer = hand_counted_gateway.post(EXAMPLE, organization=D)

    assert answer.status == 200
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    assert answer.json == {
        "fields": [
            {"name": "start_time", "type": "dimension"},
            {"name": "visitor_ids_hyper_unique", "type": "metric"},
        ],
        "data": [["2019-01-01T00:00:00.000+02:00", pytest.approx(3, rel=1e-6)]],
    }


async def test_it_can_be_sent_while_an_event_loop_runs(generated_gateway: Gateway) -> None:
    answer = generated_gateway.post(EXAMPLE | {"aggregations": [{"type": "count"}]}, organization=D)

    [[start, sessions]] = answer.data
    assert start == "2019-01-01T00:00:00.000+02:00"
    assert sessions >= 51
