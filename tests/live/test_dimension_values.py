"""The values of a dimension, compared with the rows that were counted by hand."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.serving import D, Gateway, P, T

YEARS = {"start": "2018-12-01", "end": "2020-02-01"}


def values(
    gateway: Gateway, dimension: str, *, caller: str = D, organization: str = "", **parameters: str | list[str]
) -> Any:
    query = urlencode(YEARS | parameters, doseq=True)
    path = f"{gateway.path(organization or caller)}/dimensions/{quote(dimension)}/values?{query}"
    request = urllib.request.Request(gateway.url + path, headers={"Authorization": f"Token {gateway.tokens[caller]}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["values"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_values_come_most_frequent_first_and_then_in_order(hand_counted_gateway: Gateway) -> None:
    found = values(hand_counted_gateway, "scope")
    assert sorted(found, key=lambda each: (-each[1], each[0])) == found
    assert dict(found)["org"] == 17
    assert values(hand_counted_gateway, "scope", limit="1") == found[:1]


def test_a_search_finds_parts_of_values_in_any_case_and_nothing_else_of_their_rows(
    hand_counted_gateway: Gateway,
) -> None:
    rooms = dict(values(hand_counted_gateway, "room_ids"))
    assert {"r1", "r2", None} <= rooms.keys()
    assert values(hand_counted_gateway, "room_ids", search="R1") == [["r1", rooms["r1"]]]
    assert values(hand_counted_gateway, "room_ids", search="nowhere") == []


def test_every_organization_sees_the_values_of_its_own_rows(hand_counted_gateway: Gateway) -> None:
    for caller in (D, P, T):
        assert [value for value, _ in values(hand_counted_gateway, "owner_organization_id", caller=caller)] == [caller]
    assert [value for value, _ in values(hand_counted_gateway, "owner_organization_id", caller=D, organization=P)] == [
        D
    ]
    assert values(hand_counted_gateway, "scope", caller=P, organization=D)[0] == 403


def test_time_parts_and_numbers_have_values(hand_counted_gateway: Gateway) -> None:
    assert sum(count for _, count in values(hand_counted_gateway, "month_of_year")) == sum(
        count for _, count in values(hand_counted_gateway, "order_count")
    )


@pytest.mark.parametrize(
    ("dimension", "parameters", "status", "said"),
    [
        ("scop", {}, 404, 'did you mean "scope"'),
        ("scope", {"limit": "0"}, 400, "/limit"),
        ("scope", {"limit": "\u0661"}, 400, "/limit"),
        ("scope", {"filter": "x"}, 400, "/filter"),
        ("scope", {"limit": ["5", "7"]}, 400, "is given more than once"),
        ("scope", {"start": "yesterday"}, 400, "/interval/start"),
        ("order_count", {"search": "1"}, 400, "/search"),
        ("involved_organization_ids", {}, 404, "no dimension"),
    ],
)
def test_wrong_requests_are_explained(
    hand_counted_gateway: Gateway, dimension: str, parameters: dict[str, Any], status: int, said: str
) -> None:
    found, problem = values(hand_counted_gateway, dimension, **parameters)
    assert found == status
    assert said in json.dumps(problem).replace('\\"', '"')
