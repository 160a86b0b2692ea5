"""Sends each request once before the load, to get its native query and number of rows, and to warm up Druid."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import orjson

from gateway.client import AsyncClient, AsyncDataSet, ReportingError
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
            found = await _explained(data_sets[question.path], question) if question.code is None else None
        done += 1
        on_progress(done)
        return found or question

    async with AsyncExitStack() as stack:
        data_sets: dict[str, AsyncDataSet] = {}
        for path, authorization in {question.path: question.authorization for question in questions}.items():
            client = await stack.enter_async_context(AsyncClient(gateway_url, authorization.removeprefix("Token ")))
            *_, organization_id, name = path.split("/")
            data_sets[path] = client.data_set(organization_id, name)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(question)) for question in questions]
        except* LoadError as errors:
            raise LoadError(str(errors.exceptions[0])) from errors
    return tuple(task.result() for task in tasks)


async def _explained(data_set: AsyncDataSet, question: Question) -> Question:
    report = orjson.loads(question.body)
    try:
        explanation = await data_set.explain(report)
        answer = await data_set.answer(report)
    except ReportingError as error:
        raise LoadError(f"Before the load, {question.kind} was not answered: {error}") from error
    return replace(question, native=orjson.dumps(explanation["queries"]["report"]).decode(), rows=len(answer.data))
