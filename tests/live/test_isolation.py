"""No organization sees rows of another one, for any request."""

import pytest

from tests.live.reports import Json, bound, groups, has, no, numbers, one_of, report, some
from tests.serving import D, Gateway, P, T

ESCAPES = [
    has("owner_organization_id", D),
    some(has("owner_organization_id", D), has("owner_organization_id", T)),
    some(no(has("owner_organization_id", T)), has("owner_organization_id", T)),
    no(has("owner_organization_id", T)),
    one_of("owner_organization_id", D, P, T, None),
    bound("owner_organization_id", lower=""),
    {"type": "like", "dimension": "owner_organization_id", "pattern": "%"},
    no(no(has("scope", "org"))),
    some(has("visitor_ids", "v1"), has("room_ids", "r1")),
]


@pytest.mark.parametrize("condition", ESCAPES, ids=range(len(ESCAPES)))
def test_no_filter_reaches_another_organizations_rows(hand_counted_gateway: Gateway, condition: Json) -> None:
    body = report(group_by=["owner_organization_id", "chat_session_id"], filters=condition)
    told = groups(hand_counted_gateway, body, organization=T)
    assert all(row[:2] == [T, "s19"] for row in told)


def test_each_organization_counts_its_own_rows(hand_counted_gateway: Gateway) -> None:
    told = {who: numbers(hand_counted_gateway, report(), organization=who) for who in (D, P, T)}
    assert told == {D: [27], P: [3], T: [3]}


def test_a_visitor_of_several_organizations_counts_only_in_the_callers_sessions(
    hand_counted_gateway: Gateway,
) -> None:
    body = report(filters=[has("visitor_ids", "v1"), has("scope", "org")])
    told = {who: numbers(hand_counted_gateway, body, organization=who) for who in (D, P, T)}
    assert told == {D: [3], P: [1], T: [1]}


def test_a_request_for_a_partner_shows_its_part_in_the_callers_sessions(hand_counted_gateway: Gateway) -> None:
    body = report(group_by=["owner_organization_id", "chat_session_id", "scope"])
    # s04: a user of P was an observer. s18 belongs to P, although a user of D chatted: D must not see it.
    assert groups(hand_counted_gateway, body, organization=P, caller=D) == [
        [D, "s03", "org", 1],
        [D, "s03", "team", 2],
        [D, "s03", "user", 2],
        [D, "s04", "org", 1],
    ]


@pytest.mark.parametrize(("caller", "organization"), [(P, D), (T, D), (T, P), (D, T), (P, T)])
def test_a_stranger_is_forbidden(hand_counted_gateway: Gateway, caller: str, organization: str) -> None:
    answer = hand_counted_gateway.post(report(), organization=organization, caller=caller)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert "data" not in answer.json
