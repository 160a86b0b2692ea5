"""Callers of several organizations who send requests constantly, and know the correct responses."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import Any

import aiohttp

from tests.datasets import CHAT_SESSIONS
from tests.faults.outcome import RIGHT, WRONG, Seen
from tests.faults.waiting import until
from tests.live.reports import ALL_TIME, COUNT, SUMS, UNIQUES, has, report

REPORTS: tuple[Mapping[str, Any], ...] = (
    report(),
    report(COUNT, SUMS, granularity="month"),
    report(COUNT, UNIQUES, filters=has("scope", "org")),
    report(interval={**ALL_TIME, "start": "2019-03-01", "end": "2019-03-08"}, granularity="hour"),
    report(COUNT, granularity="day", group_by=["chat_type"], totals=True),
    # So many groups that the gateway classifies it as heavy, and that its response can be interrupted in the middle.
    report(COUNT, SUMS, granularity="day", group_by=["user_id"]),
)
CALLERS = 8
# Seconds between two requests of a caller: short enough for every phase of a fault, and not a full load.
PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class Question:
    """A report of one organization, with its response without faults."""

    path: str
    authorization: str
    body: bytes
    right: bytes


@dataclass(slots=True)
class Load:
    """`timeline` grows while the callers are active."""

    timeline: list[Seen] = field(default_factory=list)
    wrong: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def until_right(self, answers: int = 2 * CALLERS) -> None:
        """Wait until so many consecutive responses from now on were correct."""
        first = len(self.timeline)

        async def right() -> bool:
            last = self.timeline[first:][-answers:]
            return len(last) == answers and all(each.code == RIGHT for each in last)

        await until(right)

    async def until_seen(self, code: str, answers: int = 1) -> None:
        """Wait until so many responses to requests from now on had this code."""
        now = asyncio.get_running_loop().time()

        def codes() -> Counter[str]:
            return Counter(each.code for each in self.timeline if each.asked >= now)

        async def seen() -> bool:
            return codes()[code] >= answers

        try:
            await until(seen)
        except TimeoutError:
            raise AssertionError(f"not {answers} of {code}: {codes()}") from None

    async def ask_for_ever(self, session: aiohttp.ClientSession, questions: Sequence[Question], *, first: int) -> None:
        clock = asyncio.get_running_loop().time
        for question in islice(cycle(questions), first, None):
            asked = clock()
            status, code, body = await _answer(session, question)
            self.timeline.append(Seen(asked, clock() - asked, status, code))
            if code == WRONG:
                self.wrong.append((question.body, body))
            await asyncio.sleep(PAUSE)


async def known(url: str, tokens: Mapping[str, str]) -> list[Question]:
    """Return every report of every organization with its response, as soon as the last fault is over."""
    questions = []
    async with aiohttp.ClientSession(url) as session:
        for organization, token in tokens.items():
            path = f"/api/reporting/v1/orgs/{organization}/{CHAT_SESSIONS.name}"
            for body in REPORTS:
                question = Question(path, f"Token {token}", json.dumps(body).encode(), b"")
                questions.append(replace(question, right=await _right_answer(session, question)))
    return questions


async def _right_answer(session: aiohttp.ClientSession, question: Question) -> bytes:
    """Wait for a 200: the broker needs a while to see the segments of a historical that was killed."""
    body = b""

    async def is_answered() -> bool:
        nonlocal body
        async with _asking(session, question) as response:
            body = await response.read()
            return bool(response.status == 200)

    try:
        await until(is_answered)
    except TimeoutError:
        raise AssertionError(f"no answer before any fault: {body!r}") from None
    return body


@asynccontextmanager
async def asking(url: str, questions: Sequence[Question], *, callers: int = CALLERS) -> AsyncIterator[Load]:
    """Let so many callers repeat these requests until the block ends."""
    load = Load()
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [
            asyncio.create_task(load.ask_for_ever(session, questions, first=number * len(questions) // callers))
            for number in range(callers)
        ]
        try:
            yield load
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


def _asking(session: aiohttp.ClientSession, question: Question) -> Any:
    headers = {"Authorization": question.authorization}
    return session.post(question.path, data=question.body, headers=headers)


async def _answer(session: aiohttp.ClientSession, question: Question) -> tuple[int, str, bytes]:
    try:
        async with _asking(session, question) as response:
            body = await response.read()
    except aiohttp.ClientError as error:
        return 0, type(error).__name__, b""
    if response.status == 200:
        return 200, RIGHT if body == question.right else WRONG, body
    return response.status, json.loads(body)["code"], body
