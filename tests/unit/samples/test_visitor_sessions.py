"""The generator of visitor sessions: the same data for the same seed, with every case that reports meet."""

import gzip
import hashlib
import json
import subprocess
import sys
from collections import Counter
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.datasets import VISITOR_SESSIONS

SPECS = Path(__file__).parents[3] / "ingestion-specs"
SCRIPT = SPECS / "samples" / "visitor_sessions.py"
SPEC = SPECS / "visitor_sessions.json"
HELSINKI = ZoneInfo("Europe/Helsinki")

with pytest.MonkeyPatch.context() as patch:
    # As when it is run: its folder comes first, where it finds generator_common.py.
    patch.syspath_prepend(SCRIPT.parent)
    visitor_sessions, chat_sessions = import_module("visitor_sessions"), import_module("chat_sessions")

ORGANIZATIONS = chat_sessions.organizations(12, 1)
ROWS: list[dict[str, Any]] = list(visitor_sessions.rows(5000, ORGANIZATIONS, 1))


def run(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, SCRIPT, *arguments], check=True, capture_output=True)


def test_the_spec_has_one_column_for_each_dimension_and_one_for_partners() -> None:
    data_schema = json.loads(SPEC.read_text())["spec"]["dataSchema"]
    columns = {dimension["name"] for dimension in data_schema["dimensionsSpec"]["dimensions"]}
    assert columns == {*(d.name for d in VISITOR_SESSIONS.dimensions), VISITOR_SESSIONS.tenant.partner_column}


def test_a_row_has_exactly_the_columns_of_the_spec_in_their_types() -> None:
    data_schema = json.loads(SPEC.read_text())["spec"]["dataSchema"]
    kinds = {"string": str, "long": int, "double": float}
    types = {
        dimension["name"]: list if "multiValueHandling" in dimension else kinds[dimension["type"]]
        for dimension in data_schema["dimensionsSpec"]["dimensions"]
    } | {data_schema["timestampSpec"]["column"]: str}
    for row in ROWS:
        assert row.keys() == types.keys()
        assert all(value is None or type(value) is types[name] for name, value in row.items())


def test_the_file_alone_must_be_named(tmp_path: Path) -> None:
    run("--out", tmp_path / "rows.jsonl")
    assert len((tmp_path / "rows.jsonl").read_bytes().splitlines()) == 20_000


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_the_same_seed_makes_the_same_bytes(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seed, hash_seed in (("one", "7", "1"), ("two", "7", "2"), ("other", "8", "1")):
        monkeypatch.setenv("PYTHONHASHSEED", hash_seed)
        run("--sessions", "300", "--seed", seed, "--out", tmp_path / f"{name}.{ending}")
    one, two, other = (
        hashlib.sha256((tmp_path / f"{name}.{ending}").read_bytes()).digest() for name in ("one", "two", "other")
    )
    assert one == two
    assert one != other


def test_a_compressed_file_tells_neither_when_it_was_made_nor_under_which_name(tmp_path: Path) -> None:
    run("--sessions", "50", "--out", tmp_path / "plain.jsonl")
    run("--sessions", "50", "--out", tmp_path / "packed.jsonl.gz")
    packed = (tmp_path / "packed.jsonl.gz").read_bytes()
    # RFC 1952, section 2.3: flags, then the time of modification.
    assert packed[3:8] == bytes(5)
    assert gzip.decompress(packed) == (tmp_path / "plain.jsonl").read_bytes()


def test_its_organizations_are_those_of_the_chat_sessions() -> None:
    chat_owners = {session.owner.organization_id for session in chat_sessions.sessions(5000, ORGANIZATIONS, 1)}
    assert {row["owner_organization_id"] for row in ROWS} == chat_owners


def test_there_are_as_many_rows_as_asked_for() -> None:
    assert len(ROWS) == 5000


def test_sessions_are_ordered_and_lie_in_the_period() -> None:
    times = [datetime.fromisoformat(row["timestamp"]) for row in ROWS]
    assert times == sorted(times)
    first, last = (time.astimezone(HELSINKI).date() for time in (times[0], times[-1]))
    assert date(2018, 12, 15) <= first < date(2018, 12, 20)
    assert date(2020, 1, 10) < last < date(2020, 1, 15)
    assert all(row["timestamp"].endswith("Z") and len(row["timestamp"]) == 24 for row in ROWS)


def test_no_more_urls_than_pages_are_viewed_and_one_at_least() -> None:
    assert all(1 <= row["distinct_url_count"] <= row["page_view_count"] for row in ROWS)
    assert any(row["distinct_url_count"] < row["page_view_count"] for row in ROWS)
    assert any(row["page_view_count"] > 10 for row in ROWS)


def test_a_duration_is_seconds_to_the_millisecond_or_unknown() -> None:
    known = [row["duration"] for row in ROWS if row["duration"] is not None]
    assert 0.9 < len(known) / len(ROWS) < 1
    assert all(0 < duration < 6 * 3600 and round(duration, 3) == duration for duration in known)
    assert any(duration % 1 for duration in known)


def test_the_owner_is_involved_and_others_are_only_where_there_are_chats() -> None:
    partners = {owner.organization_id: set(owner.partner_ids) for owner in ORGANIZATIONS}
    for row in ROWS:
        owner, *others = row["involved_organization_ids"]
        assert owner == row["owner_organization_id"]
        assert set(others) <= partners[owner]
        assert len(set(others)) == len(others) <= len(row["chat_session_ids"])


def test_the_partner_is_involved_in_sessions_of_the_documented_organization() -> None:
    assert any(
        row["owner_organization_id"] == chat_sessions.DOCUMENTED_ORGANIZATION_ID
        and chat_sessions.PARTNER_ORGANIZATION_ID in row["involved_organization_ids"]
        for row in ROWS
    )


def test_there_are_sessions_with_no_chat_with_one_and_with_many() -> None:
    chats = Counter(len(row["chat_session_ids"]) for row in ROWS)
    assert chats.keys() == {0, 1, 2, 3}
    assert chats[0] > chats[1] > chats[2] > chats[3]
    ids = [chat for row in ROWS for chat in row["chat_session_ids"]]
    assert len(set(ids)) == len(ids)


def test_every_device_type_of_the_catalog_is_there_and_none_besides() -> None:
    assert {row["device_type"] for row in ROWS} == {*VISITOR_SESSIONS.by_name["device_type"].allowed, None}


@pytest.mark.parametrize("column", ["browser_name", "browser_version", "city", "country", "device_type", "duration"])
def test_what_can_be_unknown_sometimes_is(column: str) -> None:
    unknown = sum(row[column] is None for row in ROWS)
    assert 0 < unknown < len(ROWS) / 5


def test_a_city_has_a_country_and_may_have_its_name_in_two_of_them() -> None:
    places = {(row["city"], row["country"]) for row in ROWS}
    assert all(country for city, country in places if city)
    assert {country for city, country in places if city == "Cambridge"} == {"GB", "US"}
    assert any(not city.isascii() for city, _ in places if city)


def test_visitors_come_back_with_the_same_device_and_from_the_same_place() -> None:
    visits = Counter(row["visitor_id"] for row in ROWS)
    assert 0.4 < len(visits) / len(ROWS) < 0.8
    columns = ("owner_organization_id", "device_type", "browser_name", "country", "city")
    assert len({(row["visitor_id"], *(row[column] for column in columns)) for row in ROWS}) == len(visits)


def test_no_browser_is_seen_before_its_release() -> None:
    first = min(row["timestamp"] for row in ROWS if row["browser_version"] == "79.0.3945.88")
    assert first >= "2019-12-09T22:00"
    versions = {row["browser_version"] for row in ROWS if row["browser_name"] == "Chrome"}
    assert len(versions) == 9


def test_organizations_differ_in_size() -> None:
    sizes = Counter(row["owner_organization_id"] for row in ROWS)
    assert sizes.most_common(1)[0][0] == chat_sessions.DOCUMENTED_ORGANIZATION_ID
    assert len(sizes) == 12
    assert max(sizes.values()) > 5 * min(sizes.values())
