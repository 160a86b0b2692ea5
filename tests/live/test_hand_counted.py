"""Exact numbers from a real Druid, counted by hand in ingestion-specs/samples/README.md."""

from typing import Any, NamedTuple

import pytest

from tests.live.reports import (
    AVERAGES,
    COUNT,
    ORG,
    SUMS,
    UNIQUES,
    Json,
    bound,
    every,
    groups,
    has,
    no,
    numbers,
    one_of,
    report,
    some,
)
from tests.serving import D, Gateway, P, T


class Counted(NamedTuple):
    """Rows of one scope. `uniques` are sessions, visitors and visitor sessions, `sums` as in NUMBERS.

    `tracked` says how many of the rows have orders and sales: averages divide by those.
    """

    caller: str
    organization: str
    scope: str
    rows: int
    uniques: tuple[int, ...]
    sums: tuple[float, ...]
    tracked: int


COUNTED = [
    Counted(D, D, "org", 17, (17, 12, 18), (16, 29, 8, 138.79, 13.20), 15),
    Counted(D, D, "team", 4, (3, 3, 4), (12, 12, 4, 41.00, 9.90), 3),
    Counted(D, D, "user", 6, (4, 5, 6), (16, 15, 5, 50.99, 9.90), 4),
    Counted(P, P, "org", 1, (1, 1, 1), (2, 1, 1, 40.00, 0.00), 1),
    Counted(P, P, "team", 1, (1, 1, 1), (2, 1, 1, 40.00, 0.00), 1),
    Counted(P, P, "user", 1, (1, 1, 1), (2, 1, 1, 40.00, 0.00), 1),
    Counted(T, T, "org", 1, (1, 2, 2), (5, 2, 0, 0, 0), 0),
    Counted(T, T, "team", 1, (1, 2, 2), (5, 2, 0, 0, 0), 0),
    Counted(T, T, "user", 1, (1, 2, 2), (5, 2, 0, 0, 0), 0),
    Counted(D, P, "org", 2, (2, 4, 4), (6, 6, 2, 25.50, 9.90), 2),
    Counted(D, P, "team", 2, (1, 3, 3), (6, 10, 3, 31.00, 9.90), 2),
    Counted(D, P, "user", 2, (1, 3, 3), (6, 10, 3, 31.00, 9.90), 2),
]


@pytest.mark.parametrize("counted", COUNTED)
def test_every_aggregation_of_every_scope(hand_counted_gateway: Gateway, counted: Counted) -> None:
    _, _, scope, rows, uniques, sums, tracked = counted
    body = report(COUNT, UNIQUES, SUMS, AVERAGES, filters=has("scope", scope))
    told = numbers(hand_counted_gateway, body, organization=counted.organization, caller=counted.caller)

    averages = [
        *(total / rows for total in sums[:2]),
        *(total / tracked if tracked else None for total in sums[2:]),
    ]
    assert told[0] == rows
    assert isinstance(told[0], int)
    assert told[1:4] == pytest.approx(uniques, rel=1e-6)
    assert told[4:9] == pytest.approx(sums)
    assert told[9:] == [each if each is None else pytest.approx(each) for each in averages]
    assert all(isinstance(each, float) for each in told[1:] if each is not None)


def test_columns_have_the_names_of_the_contract(hand_counted_gateway: Gateway) -> None:
    body = report(COUNT, UNIQUES, {"type": "avg", "fields": ["sales"]}, SUMS, group_by=["scope", "team_id"])
    answer = hand_counted_gateway.post(body)

    assert [(field["name"], field["type"]) for field in answer.json["fields"]] == [
        ("start_time", "dimension"),
        ("scope", "dimension"),
        ("team_id", "dimension"),
        ("count", "metric"),
        ("chat_session_id_hyper_unique", "metric"),
        ("visitor_ids_hyper_unique", "metric"),
        ("visitor_session_ids_hyper_unique", "metric"),
        ("sales_avg", "metric"),
        ("user_message_count_sum", "metric"),
        ("visitor_message_count_sum", "metric"),
        ("order_count_sum", "metric"),
        ("sales_sum", "metric"),
        ("subscription_sales_sum", "metric"),
    ]


def test_aggregations_over_no_rows_are_zero_and_averages_are_null(hand_counted_gateway: Gateway) -> None:
    body = report(COUNT, UNIQUES, SUMS, AVERAGES, filters=has("chat_session_id", "no such session"))
    told = numbers(hand_counted_gateway, body)

    assert told == [0, *[0.0] * 8, *[None] * 5]


# For each dimension, D's rows of the scope by value, in the order of the response, with null first.
GROUPED: list[tuple[str, str, dict[Any, int]]] = [
    ("chat_initiator", "org", {None: 2, "autosuggest": 1, "operator": 3, "rule": 1, "visitor": 10}),
    ("chat_session_id", "org", {f"s{n:02}": 1 for n in range(1, 18)}),
    ("chat_type", "org", {"external": 1, "group": 1, "operator": 1, "task": 1, "visitor": 13}),
    ("chatted_organization_ids", "org", {None: 13, D: 4, P: 1}),
    ("chatted_organization_ids", "user", {None: 6}),
    ("order_count", "org", {None: 2, 0: 10, 1: 3, 2: 1, 3: 1}),
    ("owner_organization_id", "org", {D: 17}),
    ("room_ids", "org", {None: 1, "r1": 12, "r2": 4, "r3": 1}),
    ("sales", "org", {None: 2, 0.0: 10, 1.1: 1, 2.2: 1, 10.0: 1, 25.5: 1, 99.99: 1}),
    ("scope", "team", {"team": 4}),
    ("subscription_sales", "org", {None: 2, 0.0: 13, 3.3: 1, 9.9: 1}),
    ("team_id", "team", {"t-d1": 3, "t-p1": 1}),
    ("team_id", "org", {None: 17}),
    ("user_id", "user", {"u-d1": 3, "u-d2": 1, "u-d3": 1, "u-p1": 1}),
    ("user_message_count", "org", {0: 13, 3: 2, 4: 1, 6: 1}),
    ("user_organization_id", "user", {D: 5, P: 1}),
    (
        "visitor_ids",
        "org",
        {
            None: 2, "v1": 3, "v10": 2, "v11": 1, "v12": 1, "v2": 1, "v3": 1, "v4": 1, "v5": 2, "v6": 1, "v7": 1,
            "v8": 2, "v9": 2,
        },
    ),
    ("visitor_message_count", "org", {0: 2, 1: 10, 2: 2, 3: 1, 5: 1, 7: 1}),
    (
        "visitor_session_ids",
        "org",
        {None: 2, "vs1": 1, **{f"vs1{n}": 1 for n in range(9)}, **{f"vs{n}": 1 for n in range(2, 10)}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("dimension", "scope", "counted"), GROUPED)
def test_group_by_every_dimension(
    hand_counted_gateway: Gateway, dimension: str, scope: str, counted: dict[Any, int]
) -> None:
    told = groups(hand_counted_gateway, report(group_by=[dimension], filters=has("scope", scope)))
    assert told == [[value, count] for value, count in counted.items()]


def test_a_row_counts_in_the_group_of_each_of_its_values(hand_counted_gateway: Gateway) -> None:
    metrics = [{"type": "sum", "fields": ["user_message_count"]}, {"type": "hyperUnique", "fields": ["visitor_ids"]}]
    told = groups(hand_counted_gateway, report(*metrics, group_by=["room_ids"], filters=ORG))

    # r1: s02, s03 and s09 have 3, 6 and 4 messages; only v4 and v8 were never there. r2: s03, s04, s10, s11.
    assert told == [
        [None, 3.0, 0.0],
        ["r1", 13.0, pytest.approx(10, rel=1e-6)],
        ["r2", 6.0, pytest.approx(5, rel=1e-6)],
        ["r3", 0.0, 0.0],
    ]


def test_two_dimensions_make_a_row_for_each_pair(hand_counted_gateway: Gateway) -> None:
    body = report(group_by=["room_ids", "chatted_organization_ids"], filters=every(ORG, has("chat_type", "visitor")))
    # s02 is D in r1; s03 is D and P in r1 and r2.
    # The others have no chatted organization: r1 s01, 6, 7, 12 to 17; r2 s04, s11.
    assert groups(hand_counted_gateway, body) == [
        ["r1", None, 9],
        ["r1", D, 2],
        ["r1", P, 1],
        ["r2", None, 2],
        ["r2", D, 1],
        ["r2", P, 1],
    ]


def test_a_filter_on_an_array_selects_rows_and_not_values(hand_counted_gateway: Gateway) -> None:
    told = groups(hand_counted_gateway, report(group_by=["room_ids"], filters=every(ORG, has("room_ids", "r2"))))
    assert told == [["r1", 1], ["r2", 4]]


# The number of matching rows, of D's 17 `org` rows.
FILTERED = [
    # Arrays match if any of their values does.
    (has("room_ids", "r1"), 12),
    (has("room_ids", "r2"), 4),
    (has("room_ids", None), 1),
    (no(has("room_ids", "r1")), 5),
    (no(has("room_ids", None)), 16),
    (one_of("room_ids", "r2", "r3"), 5),
    (one_of("room_ids", "r3", None), 2),
    (no(one_of("room_ids", "r2", None)), 12),
    (bound("room_ids", lower="r2"), 5),
    (bound("room_ids", lower="r2", lowerStrict=True), 1),
    (bound("room_ids", upper="r1"), 12),
    (no(bound("room_ids", upper="r1")), 5),
    ({"type": "like", "dimension": "room_ids", "pattern": "r_"}, 16),
    (every(has("room_ids", "r1"), has("room_ids", "r2")), 1),
    (some(has("room_ids", "r3"), has("room_ids", None)), 2),
    (has("chatted_organization_ids", P), 1),
    (has("chatted_organization_ids", D), 4),
    (has("chatted_organization_ids", None), 13),
    (no(has("chatted_organization_ids", D)), 13),
    (no(has("chatted_organization_ids", P)), 16),
    (has("visitor_ids", "v1"), 3),
    (has("visitor_ids", "v8"), 2),
    (has("visitor_ids", None), 2),
    (one_of("visitor_ids", "v9", "v10", "v13"), 4),
    (no(has("visitor_ids", "v1")), 14),
    (has("visitor_session_ids", "vs12"), 1),
    (has("visitor_session_ids", "vs19"), 0),
    (no(has("visitor_session_ids", None)), 15),
    # Text.
    (has("chat_initiator", "visitor"), 10),
    (has("chat_initiator", None), 2),
    (no(has("chat_initiator", "visitor")), 7),
    (no(has("chat_initiator", None)), 15),
    (one_of("chat_initiator", "visitor", None), 12),
    (no(one_of("chat_initiator", "visitor", None)), 5),
    (no(no(has("chat_initiator", "visitor"))), 10),
    (no(every(has("chat_initiator", "visitor"), has("chat_type", "visitor"))), 8),
    (no(some(has("chat_initiator", "visitor"), has("chat_type", "visitor"))), 3),
    (bound("chat_initiator", lower="operator", upper="rule"), 4),
    (no(bound("chat_initiator", lower="operator", upper="rule")), 13),
    (has("team_id", None), 17),
    (has("user_id", "u-d1"), 0),
    (has("owner_organization_id", D), 17),
    (has("owner_organization_id", P), 0),
    # Numbers, also as text. A missing value is not 0 and in no bound.
    (has("order_count", 0), 10),
    (has("order_count", "1"), 3),
    (has("order_count", None), 2),
    (no(has("order_count", 0)), 7),
    (one_of("order_count", 2, "3", None), 4),
    (bound("order_count", lower=1), 5),
    (bound("order_count", lower=1, lowerStrict=True), 2),
    (bound("order_count", upper=0), 10),
    (no(bound("order_count", lower=1)), 12),
    (has("sales", 25.5), 1),
    (has("sales", "2.20"), 1),
    (bound("sales", lower=1.1, upper=10), 3),
    (bound("sales", lower="1.1", upper="10", upperStrict=True, ordering="numeric"), 2),
    (has("subscription_sales", 9.9), 1),
    (bound("subscription_sales", lower=0, lowerStrict=True), 2),
    (bound("user_message_count", lower=3, upper=4), 3),
    (has("visitor_message_count", 1), 10),
]


@pytest.mark.parametrize(
    ("condition", "rows"), FILTERED, ids=lambda value: str(value) if isinstance(value, int) else ""
)
def test_filters(hand_counted_gateway: Gateway, condition: Json, rows: int) -> None:
    assert numbers(hand_counted_gateway, report(filters=every(ORG, condition))) == [rows]


def test_filters_can_be_one_filter_a_list_or_missing(hand_counted_gateway: Gateway) -> None:
    asked: tuple[Any, ...] = (ORG, [ORG, has("room_ids", "r1")], [], {}, None)
    bodies = [report() if filters is None else report(filters=filters) for filters in asked]
    assert [numbers(hand_counted_gateway, body) for body in bodies] == [[17], [12], [27], [27], [27]]


def test_filtered_aggregations_are_independent_columns(hand_counted_gateway: Gateway) -> None:
    real = every(bound("visitor_message_count", lower=1), bound("user_message_count", lower=2))
    body = report(COUNT, {"type": "count", "name": "real_chats", "filter": real}, filters=ORG)
    # s02, s03 and s09.
    assert numbers(hand_counted_gateway, body) == [17, 3]


def test_totals_count_each_visitor_once(hand_counted_gateway: Gateway) -> None:
    body = report(COUNT, UNIQUES, group_by=["room_ids"], filters=ORG, totals=True)
    assert hand_counted_gateway.post(body).json["totals"][1:] == [None, 17, *map(pytest.approx, (17.0, 12.0, 18.0))]


def test_having_order_by_and_limit(hand_counted_gateway: Gateway) -> None:
    busiest = report(
        group_by=["visitor_ids"],
        filters=every(ORG, no(has("visitor_ids", None))),
        order_by=[{"column": "count", "direction": "descending"}, {"column": "visitor_ids"}],
        having=[{"type": "greaterThanOrEqualTo", "metric": "count", "value": 2}],
        limit=3,
    )
    assert groups(hand_counted_gateway, busiest) == [["v1", 3], ["v10", 2], ["v5", 2]]
