"""Whole answers are stored for a limited time, in limited memory, and never replaced by older ones."""

import asyncio
from typing import Any

import pytest

from gateway.druid.memory_budget import MemoryBudget
from gateway.druid.stored import Stored
from gateway.web.stored_answers import AnswerKey, CompleteAnswer, StoredAnswers, is_lasting
from tests.unit.druid.links import INSTRUMENTS
from tests.unit.query.conftest import Planner

SECONDS = 0.2
KEY = AnswerKey("chat_sessions", "owner", None, "POST", "json", b"{}")


def answers(limit: int = 1 << 20) -> tuple[StoredAnswers, Stored[AnswerKey, CompleteAnswer], MemoryBudget]:
    stored: Stored[AnswerKey, CompleteAnswer] = Stored(limit)
    budget = MemoryBudget(limit, INSTRUMENTS.answers_bytes, stored)
    return StoredAnswers(SECONDS, stored, budget, INSTRUMENTS.reuse.labels("memory")), stored, budget


def answer(body: bytes = b"1", *, age: float = 0.0) -> CompleteAnswer:
    sent_at = asyncio.get_running_loop().time() - age
    return CompleteAnswer(body=body, rows=1, headers={}, etag=None, log_fields={}, sent_at=sent_at, queries=1)


async def test_an_answer_is_stored_for_its_key_alone() -> None:
    store, _, _ = answers()
    store.put(KEY, found := answer(), repeated=True)
    assert store.get(KEY) is found
    for name in KEY._fields:
        changed = KEY._asdict() | {name: b"[]" if name == "body" else "other"}
        assert store.get(AnswerKey(**changed)) is None


async def test_the_time_begins_when_the_query_is_sent() -> None:
    store, _, _ = answers()
    store.put(KEY, answer(age=SECONDS / 2), repeated=True)
    assert store.get(KEY) is not None
    await asyncio.sleep(SECONDS * 0.6)
    assert store.get(KEY) is None


async def test_an_older_answer_does_not_replace_a_newer_one() -> None:
    store, _, _ = answers()
    store.put(KEY, newer := answer(b"new"), repeated=True)
    store.put(KEY, answer(b"old", age=0.1), repeated=True)
    assert store.get(KEY) is newer


async def test_the_first_answer_to_a_report_is_not_stored_and_ends_an_earlier_one() -> None:
    store, stored, _ = answers()
    store.put(KEY, answer(), repeated=False)
    assert stored.size == 0
    store.put(KEY, answer(), repeated=True)
    store.put(KEY, answer(), repeated=False)
    assert store.get(KEY) is None


async def test_old_answers_make_room_for_a_new_one() -> None:
    store, stored, budget = answers()
    for number in range(20):
        store.put(KEY._replace(body=b"%d" % number), answer(), repeated=True)
    await asyncio.sleep(SECONDS * 1.1)
    for number in range(3):
        store.put(KEY._replace(body=b"new %d" % number), answer(), repeated=True)
    assert stored.size == budget.used < 4 * 4_096


async def test_large_answers_and_long_reports_are_not_stored() -> None:
    store, stored, _ = answers()
    store.put(KEY, answer(bytes(100_000)), repeated=True)
    store.put(KEY._replace(body=bytes(5_000)), answer(), repeated=True)
    assert stored.size == 0


async def test_an_organization_loses_its_own_answers_oldest_first() -> None:
    store, stored, _ = answers()
    keys = [KEY._replace(owner_organization_id=owner, body=body) for body in (b"1", b"2") for owner in ("a", "b")]
    for key in keys:
        store.put(key, answer(), repeated=True)
    assert store.get(keys[0]) is not None
    assert stored.reclaim("a")
    assert [store.get(key) is not None for key in keys] == [True, True, False, True]
    assert stored.reclaim("a")
    assert not stored.reclaim("a")
    assert [store.get(key) is not None for key in keys] == [False, True, False, True]


MINUTE = 60_000
DAY = {"start": "2019-01-01", "end": "2019-01-02"}


@pytest.mark.parametrize(
    ("changes", "after_the_end", "lasts"),
    [
        ({}, MINUTE, True),
        ({}, 1, True),
        ({}, -1, False),
        ({"compare": {"to": "previous_period"}}, MINUTE, True),
        ({"compare": {"to": "previous_period"}, "interval": DAY | {"end": "2019-01-01T08:00:30"}}, 1_000, False),
        ({"compare": {"to": {"start": "2019-01-03", "end": "2019-01-04"}}}, MINUTE, False),
        ({"top": {"groups": 2, "by": "count"}, "group_by": ["scope"]}, MINUTE, False),
        ({"freshness": True}, MINUTE, False),
        ({"interval": {"last": "P7D"}}, MINUTE, False),
    ],
)
def test_only_a_report_whose_meaning_no_longer_changes_lasts(
    planner: Planner, changes: dict[str, Any], after_the_end: int, *, lasts: bool
) -> None:
    body = {"interval": DAY, "aggregations": [{"type": "count"}], **changes}
    now = planner(body).whole_end + after_the_end
    assert is_lasting(planner(body, now=now), now) is lasts


async def test_an_answer_that_is_being_sent_counts_after_it_was_dropped() -> None:
    store, stored, budget = answers(limit=200_000)
    store.put(KEY, sent := answer(bytes(10_000)), repeated=True)
    with store.lease(KEY, sent):
        assert stored.reclaim(None)
        assert budget.used == 10_000
    assert budget.used == 0
