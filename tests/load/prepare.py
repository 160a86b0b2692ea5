"""Sends each request once before the load, to get its native query and number of rows, and to warm up Druid."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import aiohttp
import orjson

from tests.load.errors import LoadError
from tests.load.scenario import Question

AT_ONCE = 4


async def explained(
    gateway_url: str, questions: Sequence[Question], on_progress: Callable[[int], object]
) -> tuple[Question, ...]:
    """Return the requests in their order. Reports get their native query and number of rows.

    `on_progress` is told how many are done. Raises LoadError where a report is not answered.
    """
    waiting = asyncio.Semaphore(AT_ONCE)
    done = 0

    async def one(question: Question) -> Question:
        nonlocal done
        async with waiting:
            found = await _explained(session, gateway_url + question.path, question) if question.code is None else None
        done += 1
        on_progress(done)
        return found or question

    async with aiohttp.ClientSession() as session:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(question)) for question in questions]
        except* (LoadError, aiohttp.ClientError) as errors:
            raise LoadError(str(errors.exceptions[0])) from errors
    return tuple(task.result() for task in tasks)


async def _explained(session: aiohttp.ClientSession, url: str, question: Question) -> Question:
    explanation = await _post(session, f"{url}?explain=true", question)
    answer = await _post(session, url, question)
    native = orjson.dumps(explanation["queries"]["report"]).decode()
    return replace(question, native=native, rows=len(answer["data"]))


async def _post(session: aiohttp.ClientSession, url: str, question: Question) -> dict[str, dict[str, object]]:
    headers = {"Authorization": question.authorization, "Content-Type": "application/json"}
    async with session.post(url, data=question.body, headers=headers) as response:
        raw = await response.read()
        if response.status != 200:
            raise LoadError(f"Before the load, {question.kind} was answered with {response.status}: {raw[:500]!r}")
        answer: dict[str, dict[str, object]] = orjson.loads(raw)
        return answer
