"""The hand-counted file holds what its README says, no more and no less."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

SAMPLES = Path(__file__).parents[3] / "ingestion-specs" / "samples"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in (SAMPLES / "hand_counted.jsonl").read_text().splitlines()]
ORGANIZATIONS = {
    "D": "b0a1d32b-e82c-11e4-b081-6c4008adf7e8",
    "P": "c7d0f6a4-1c5e-11e5-9f3c-6c4008adf7e8",
    "T": "5d0c7a1e-7f0b-4b1e-8a55-0d9c5f0e2a11",
}
SHORT = {organization_id: name for name, organization_id in ORGANIZATIONS.items()}
HELSINKI = ZoneInfo("Europe/Helsinki")


def table(first_heading: str) -> Iterator[list[str]]:
    """The cells of the README's table that begins with this heading."""
    lines = iter((SAMPLES / "README.md").read_text().splitlines())
    next(line for line in lines if line.startswith(f"| {first_heading} |"))
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def values(ids: list[str]) -> str:
    return " ".join(SHORT.get(i, i) for i in ids) or "-"


def money(row: dict[str, Any]) -> str:
    if row["order_count"] is None:
        return "-"
    return f"{row['order_count']}, {row['sales']:.2f}, {row['subscription_sales']:.2f}"


def local(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["timestamp"]).astimezone(HELSINKI)


def owned(name: str) -> Callable[[dict[str, Any]], bool]:
    if name == "P in D's":
        return lambda row: (
            row["owner_organization_id"] == ORGANIZATIONS["D"]
            and ORGANIZATIONS["P"] in row["involved_organization_ids"]
        )
    return lambda row: bool(row["owner_organization_id"] == ORGANIZATIONS[name])


D_ORG_ROWS = [row for row in ROWS if row["scope"] == "org" and owned("D")(row)]


def test_every_session_is_an_org_row_as_the_table_says() -> None:
    told = [
        [
            row["chat_session_id"],
            local(row).isoformat(sep=" ", timespec="milliseconds"),
            SHORT[row["owner_organization_id"]],
            f"{row['chat_type']}, {row['chat_initiator'] or '-'}",
            values(row["chatted_organization_ids"]),
            values(row["involved_organization_ids"]),
            values(row["room_ids"]),
            values(row["visitor_ids"]),
            values(row["visitor_session_ids"]),
            f"{row['user_message_count']}, {row['visitor_message_count']}",
            money(row),
        ]
        for row in ROWS
        if row["scope"] == "org"
    ]
    assert told == list(table("Session | Helsinki time"))


def test_every_team_and_user_row_is_as_the_table_says() -> None:
    told = [
        [
            row["chat_session_id"],
            f"{row['scope']} {row[row['scope'] + '_id']}",
            SHORT.get(row["user_organization_id"], "-"),
            str(row["user_message_count"]),
            money(row),
        ]
        for row in ROWS
        if row["scope"] != "org"
    ]
    assert told == list(table("Session | Row"))


@pytest.mark.parametrize("cells", list(table("Rows of")), ids=lambda cells: f"{cells[0]} {cells[1]}")
def test_the_counts_are_right(cells: list[str]) -> None:
    of, scope = cells[:2]
    rows = [row for row in ROWS if row["scope"] == scope and owned(of)(row)]

    def distinct(array: str) -> str:
        return str(len({value for row in rows for value in row[array]}))

    def total(column: str, form: str = "d") -> str:
        known = [row[column] for row in rows if row[column] is not None]
        return format(sum(known), form) if known else "-"

    assert cells[2:] == [
        str(len(rows)),
        str(len({row["chat_session_id"] for row in rows})),
        distinct("visitor_ids"),
        distinct("visitor_session_ids"),
        total("user_message_count"),
        total("visitor_message_count"),
        total("order_count"),
        total("sales", ".2f"),
        total("subscription_sales", ".2f"),
    ]


def test_averages_divide_by_the_rows_that_have_a_value() -> None:
    assert len([row for row in D_ORG_ROWS if row["sales"] is not None]) == 15


def test_local_days_are_right_around_both_changes_of_the_clock() -> None:
    told = {day: int(count) for day, count in table("Day")}
    days = [local(row).date().isoformat() for row in D_ORG_ROWS]
    assert {day: days.count(day) for day in days} == told


def test_the_values_of_arrays_are_counted_right() -> None:
    for dimension, value, count in table("Dimension"):
        arrays = [set(row[dimension]) for row in D_ORG_ROWS]
        wanted = ORGANIZATIONS.get(value, value)
        matching = [array for array in arrays if (wanted in array if value != "-" else not array)]
        assert len(matching) == int(count), (dimension, value)


def test_the_documented_example_finds_three_visitors() -> None:
    found = [
        row
        for row in D_ORG_ROWS
        if local(row).date().isoformat() == "2019-01-01"
        and (row["chat_type"], row["chat_initiator"]) == ("visitor", "visitor")
    ]
    assert [row["chat_session_id"] for row in found] == ["s02", "s03"]
    assert len({visitor for row in found for visitor in row["visitor_ids"]}) == 3
