"""The stack answers reports as the gateway without containers does."""

from collections.abc import Callable

import pytest

from tests.compose.stack import Caller, Stack
from tests.live.reports import AVERAGES, COUNT, SUMS, UNIQUES, has, report
from tests.live.test_documented_example import EXAMPLE
from tests.live.test_hand_counted import COUNTED, Counted
from tests.serving import D, P, T

Callers = Callable[[str], Caller]


def test_as_soon_as_it_is_up_the_documented_example_is_answered_from_sample_data(stack: Stack, caller: Callers) -> None:
    visitors = caller(D).post(EXAMPLE).data[0][1]
    sessions = caller(D).post(EXAMPLE | {"aggregations": [COUNT]}).data

    assert stack.exit_codes()["ingest"] == 0
    assert sessions == [["2019-01-01T00:00:00.000+02:00", sessions[0][1]]]
    assert sessions[0][1] >= 51
    assert visitors > 1


def test_ingesting_again_replaces_the_sample_data(hand_counted: str, caller: Callers) -> None:
    assert "33" in hand_counted
    assert caller(D).post(report()).data == [["2018-12-01T00:00:00.000+02:00", 27]]


def test_the_documented_example_finds_the_three_hand_counted_visitors(hand_counted: str, caller: Callers) -> None:
    assert hand_counted
    answer = caller(D).post(EXAMPLE)
    assert answer.json == {
        "fields": [
            {"name": "start_time", "type": "dimension"},
            {"name": "visitor_ids_hyper_unique", "type": "metric"},
        ],
        "data": [["2019-01-01T00:00:00.000+02:00", pytest.approx(3, rel=1e-6)]],
    }


@pytest.mark.parametrize("counted", COUNTED, ids=lambda counted: f"{counted.caller[0]}-{counted.organization[0]}")
def test_every_hand_counted_number_of_three_organizations_and_of_a_partner(
    hand_counted: str, caller: Callers, counted: Counted
) -> None:
    assert hand_counted
    body = report(COUNT, UNIQUES, SUMS, AVERAGES, filters=has("scope", counted.scope))
    [[_, *told]] = caller(counted.caller).post(body, organization=counted.organization).data

    averages = [total / counted.rows for total in counted.sums[:2]]
    averages += [total / counted.tracked for total in counted.sums[2:] if counted.tracked]
    assert told[0] == counted.rows
    assert told[1:4] == pytest.approx(counted.uniques, rel=1e-6)
    assert told[4:9] == pytest.approx(counted.sums)
    assert [each for each in told[9:] if each is not None] == pytest.approx(averages)


@pytest.mark.parametrize(("asking", "organization"), [(P, D), (T, D), (D, T)])
def test_a_stranger_is_forbidden(caller: Callers, asking: str, organization: str) -> None:
    answer = caller(asking).post(report(), organization=organization)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")


def test_a_made_up_token_is_refused(stack: Stack) -> None:
    answer = Caller(stack.port("GATEWAY_PORT"), "gwt_abcdefgh_no-such-token").post(report())
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")


def test_limits_are_counted_in_redis(stack: Stack, caller: Callers) -> None:
    assert caller(D).post(report()).status == 200
    assert int(stack.compose("exec", "-T", "redis", "redis-cli", "dbsize")) > 0
