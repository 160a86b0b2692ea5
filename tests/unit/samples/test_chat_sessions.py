"""The generator: the same data for the same seed, whose rows agree with each other."""

import gzip
import hashlib
import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.conftest import load_program

SCRIPT = Path(__file__).parents[3] / "ingestion-specs" / "samples" / "chat_sessions.py"
SPEC = SCRIPT.parents[1] / "chat_sessions.json"
HELSINKI = ZoneInfo("Europe/Helsinki")
MONEY = ("order_count", "sales", "subscription_sales")


chat_sessions: Any = load_program("chat_sessions", SCRIPT)
ORGANIZATIONS = chat_sessions.organizations(12, 1)
ROWS: list[dict[str, Any]] = [
    row for session in chat_sessions.sessions(5000, ORGANIZATIONS, 1) for row in session.rows()
]
SESSIONS = [list(rows) for _, rows in groupby(ROWS, key=lambda row: row["chat_session_id"])]


def run(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, SCRIPT, *arguments], check=True, capture_output=True)


def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.jsonl", "two.jsonl"):
        run("--sessions", "300", "--seed", "7", "--out", tmp_path / name)
    run("--sessions", "300", "--seed", "8", "--out", tmp_path / "other.jsonl")
    one, two, other = (
        hashlib.sha256((tmp_path / f"{name}.jsonl").read_bytes()).digest() for name in ("one", "two", "other")
    )
    assert one == two
    assert one != other


def test_a_name_that_ends_in_gz_is_compressed(tmp_path: Path) -> None:
    run("--sessions", "50", "--out", tmp_path / "plain.jsonl")
    run("--sessions", "50", "--out", tmp_path / "packed.jsonl.gz")
    assert gzip.decompress((tmp_path / "packed.jsonl.gz").read_bytes()) == (tmp_path / "plain.jsonl").read_bytes()


def test_there_are_as_many_sessions_as_asked_for_and_each_has_its_own_id() -> None:
    assert len(SESSIONS) == 5000
    assert len({rows[0]["chat_session_id"] for rows in SESSIONS}) == 5000


def test_a_row_has_exactly_the_columns_of_the_spec() -> None:
    schema = json.loads(SPEC.read_text())["spec"]["dataSchema"]
    dimensions = schema["dimensionsSpec"]["dimensions"]
    assert set(ROWS[0]) == {dimension["name"] for dimension in dimensions} | {schema["timestampSpec"]["column"]}
    arrays = {dimension["name"] for dimension in dimensions if "multiValueHandling" in dimension}
    assert {name for row in ROWS for name, value in row.items() if isinstance(value, list)} == arrays


def test_what_belongs_to_the_session_is_the_same_in_all_its_rows() -> None:
    shared = [
        "timestamp",
        "chat_type",
        "chat_initiator",
        "owner_organization_id",
        "involved_organization_ids",
        "room_ids",
        "visitor_ids",
        "visitor_session_ids",
        "visitor_message_count",
    ]
    for rows in SESSIONS:
        for column in shared:
            assert all(row[column] == rows[0][column] for row in rows), column


def test_a_session_has_one_org_row_and_one_for_each_chatted_team_and_user() -> None:
    teams = {user.user_id: user.team_ids for organization in ORGANIZATIONS for user in organization.users}
    for rows in SESSIONS:
        assert [row["scope"] for row in rows].count("org") == 1
        user_ids = [row["user_id"] for row in rows if row["scope"] == "user"]
        team_ids = [row["team_id"] for row in rows if row["scope"] == "team"]
        assert len(set(user_ids)) == len(user_ids)
        assert len(set(team_ids)) == len(team_ids)
        assert set(team_ids) == {team_id for user_id in user_ids for team_id in teams[user_id]}


def test_ids_of_a_scope_stand_in_rows_of_that_scope_only() -> None:
    for row in ROWS:
        assert (row["team_id"] is not None) == (row["scope"] == "team")
        assert (row["user_id"] is not None) == (row["scope"] == "user")
        assert (row["user_organization_id"] is not None) == (row["scope"] == "user")
        assert row["scope"] == "org" or row["chatted_organization_ids"] == []


def test_messages_and_organizations_add_up() -> None:
    for org, *others in SESSIONS:
        users = [row for row in others if row["scope"] == "user"]
        assert org["user_message_count"] == sum(row["user_message_count"] for row in users)
        assert all(row["user_message_count"] > 0 for row in others)
        chatted = {row["user_organization_id"] for row in users}
        assert set(org["chatted_organization_ids"]) == chatted
        assert chatted | {org["owner_organization_id"]} <= set(org["involved_organization_ids"])


def test_a_team_has_the_messages_of_its_users() -> None:
    teams = {user.user_id: user.team_ids for organization in ORGANIZATIONS for user in organization.users}
    for rows in SESSIONS:
        sent: Counter[str] = Counter()
        for row in rows:
            for team_id in teams.get(row["user_id"], ()):
                sent[team_id] += row["user_message_count"]
        assert {row["team_id"]: row["user_message_count"] for row in rows if row["scope"] == "team"} == sent


def test_orders_and_sales_after_joining_are_never_more_than_the_sessions() -> None:
    fewer = 0
    for org, *others in SESSIONS:
        for column in MONEY:
            if org[column] is None:
                assert all(row[column] is None for row in others)
            else:
                assert all(0 <= row[column] <= org[column] for row in others)
                fewer += sum(row[column] < org[column] for row in others)
    assert fewer > 0


def test_money_has_two_decimals() -> None:
    assert all(row[column] is None or round(row[column], 2) == row[column] for row in ROWS for column in MONEY)


def test_the_data_has_every_case_that_queries_meet() -> None:
    assert {row["chat_type"] for row in ROWS} == {"operator", "visitor", "group", "task", "external"}
    assert {row["chat_initiator"] for row in ROWS} == {"autosuggest", "visitor", "operator", "rule", None}
    for array in ("visitor_ids", "visitor_session_ids", "room_ids", "chatted_organization_ids"):
        assert {0, 1, 2} <= {len(row[array]) for row in ROWS if row["scope"] == "org"}, array
    assert {row["sales"] is None for row in ROWS} == {True, False}
    # Members that only look on: involved, and not chatted.
    assert any(
        set(row["involved_organization_ids"]) - set(row["chatted_organization_ids"]) - {row["owner_organization_id"]}
        for row in ROWS
        if row["scope"] == "org"
    )


def test_visitors_come_back() -> None:
    seen = [visitor for rows in SESSIONS for visitor in rows[0]["visitor_ids"]]
    assert 0.5 < len(set(seen)) / len(seen) < 0.9


def test_organizations_differ_in_size_and_the_documented_one_is_the_largest() -> None:
    sizes = Counter(rows[0]["owner_organization_id"] for rows in SESSIONS)
    assert sizes.most_common(1)[0][0] == chat_sessions.DOCUMENTED_ORGANIZATION_ID
    assert len(sizes) == 12
    assert max(sizes.values()) > 5 * min(sizes.values())


def test_the_partner_takes_part_in_sessions_of_the_documented_organization() -> None:
    assert ORGANIZATIONS[0].partner_ids[0] == chat_sessions.PARTNER_ORGANIZATION_ID
    assert any(
        row["owner_organization_id"] == chat_sessions.DOCUMENTED_ORGANIZATION_ID
        and chat_sessions.PARTNER_ORGANIZATION_ID in row["chatted_organization_ids"]
        for row in ROWS
    )


def test_sessions_are_ordered_lie_in_the_period_and_most_of_them_in_daytime() -> None:
    times = [datetime.fromisoformat(rows[0]["timestamp"]) for rows in SESSIONS]
    assert times == sorted(times)
    first, last = (time.astimezone(HELSINKI).date() for time in (times[0], times[-1]))
    assert first >= chat_sessions.FIRST_DAY
    assert last < chat_sessions.END_DAY
    assert sum(8 <= time.astimezone(HELSINKI).hour < 18 for time in times) > 0.7 * len(times)
    assert all(rows[0]["timestamp"].endswith("Z") and len(rows[0]["timestamp"]) == 24 for rows in SESSIONS)


@pytest.mark.parametrize("sessions", [60, 500, 5000])
def test_the_documented_example_has_dozens_of_visitors_to_count(sessions: int) -> None:
    start = datetime(2018, 12, 31, 22, tzinfo=UTC)
    end = datetime(2019, 1, 1, 22, tzinfo=UTC)
    visitors = {
        visitor
        for session in chat_sessions.sessions(sessions, ORGANIZATIONS, 1)
        for row in session.rows()
        if row["owner_organization_id"] == chat_sessions.DOCUMENTED_ORGANIZATION_ID
        and (row["scope"], row["chat_type"], row["chat_initiator"]) == ("org", "visitor", "visitor")
        and start <= datetime.fromisoformat(row["timestamp"]) < end
        for visitor in row["visitor_ids"]
    }
    assert len(visitors) > 24
