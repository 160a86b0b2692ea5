"""Streams: start, inspect, suspend, resume and terminate them.

A supervisor of Druid keeps tasks reading a Kafka topic. Queries read a task's rows immediately. When a task ends, it
stores its segments and the topic's offsets in one transaction. A task that fails stores neither, and the next one reads
from the stored offsets. So each message counts once.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from gateway.druid.tasks import State
from gateway.ingest.batch.run import PATIENTLY
from gateway.ingest.clients import Clients, DruidUrls, connect
from gateway.ingest.errors import FailedStream
from gateway.ingest.stream.spec import StreamSpec
from gateway.ingest.stream.status import Condition, StreamStatus

_POLL = 1.0


async def start(  # noqa: PLR0913 - most have a default that is right
    spec: StreamSpec,
    urls: DruidUrls,
    *,
    data_source: str | None = None,
    bootstrap_servers: str | None = None,
    wait: bool = True,
    wait_seconds: float = 120,
) -> StreamStatus:
    """Start a stream, or give a running one a new spec. With `wait`, return when it reads its topic.

    Also sets up compaction by tenant, unless the data source has settings of its own. Raises IngestError, ServiceError.
    """
    name = data_source or spec.data_source
    async with connect(urls) as druid:
        before = frozenset(task.task_id for task in await druid.overlord.supervisor_tasks(name))
        await druid.overlord.start_supervisor(spec.submission(data_source, bootstrap_servers))
        if not await druid.compaction.is_configured(name):
            await druid.compaction.configure(spec.compaction(data_source))
        deadline = time.monotonic() + wait_seconds
        while True:
            status = await PATIENTLY(inspect, druid, name, before)
            if not wait or status.condition in {Condition.READING, Condition.SUSPENDED}:
                return status
            if status.condition is Condition.FAILING or time.monotonic() > deadline:
                raise FailedStream(_why(status, bootstrap_servers or spec.bootstrap_servers, wait_seconds))
            await asyncio.sleep(_POLL)


async def inspect(druid: Clients, name: str, before: frozenset[str] = frozenset()) -> StreamStatus:
    """Return the stream's state. Tasks with an id in `before` are ignored. Raises ServiceError."""
    overlord = druid.overlord
    supervisor = await overlord.supervisor(name)
    throughput = await overlord.throughput(name)
    tasks = [task for task in await overlord.supervisor_tasks(name) if task.task_id not in before]
    bad = throughput.rows.unparseable + throughput.rows.with_error
    errors = await overlord.parse_errors(name) if bad else ()
    return StreamStatus.of(supervisor, throughput, tasks, errors, datetime.now(UTC))


async def watch(urls: DruidUrls, name: str, *, every: float = 2.0) -> AsyncIterator[StreamStatus]:
    """Yield the stream's state repeatedly, until the stream is terminated. Raises ServiceError."""
    async with connect(urls) as druid:
        yield await inspect(druid, name)
        while True:
            await asyncio.sleep(every)
            yield await PATIENTLY(inspect, druid, name)


async def suspend(urls: DruidUrls, name: str, *, wait_seconds: float = 300) -> None:
    """Stop reading, and return when all rows that were read are published. Raises IngestError, ServiceError."""
    async with connect(urls) as druid:
        await druid.overlord.change_supervisor(name, "suspend")
        await _until_published(druid, name, wait_seconds)


async def resume(urls: DruidUrls, name: str) -> None:
    """Continue reading from where the stream was suspended. Raises ServiceError."""
    async with connect(urls) as druid:
        await druid.overlord.change_supervisor(name, "resume")


async def terminate(urls: DruidUrls, name: str, *, wait_seconds: float = 300) -> None:
    """End the stream when all rows that were read are published. Started again, it continues from there.

    Raises IngestError, ServiceError.
    """
    async with connect(urls) as druid:
        # Druid does not wait for the tasks of a supervisor that it terminates.
        await druid.overlord.change_supervisor(name, "suspend")
        await _until_published(druid, name, wait_seconds)
        await druid.overlord.change_supervisor(name, "terminate")


async def _until_published(druid: Clients, name: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    # The supervisor does not know its tasks for a moment after it was suspended, so this asks for the tasks.
    while running := [
        task for task in await PATIENTLY(druid.overlord.supervisor_tasks, name) if task.state is State.RUNNING
    ]:
        if time.monotonic() > deadline:
            raise FailedStream(
                f"{name} is suspended, but its task {running[0].task_id} has not published its rows after "
                f"{seconds:.0f} s. It continues; until it has published them, queries read them from the task."
            )
        await asyncio.sleep(_POLL)


def _why(status: StreamStatus, bootstrap_servers: str, seconds: float) -> str:
    name = status.supervisor.name
    if status.failed:
        problem = (
            f"{len(status.failed)} of its tasks failed in a row: {status.reason or 'Druid gives no reason'}. "
            "See the log of Druid's indexer"
        )
    elif not status.supervisor.reading and status.supervisor.detail != "RUNNING":
        problem = (
            f"Druid's supervisor is in state {status.supervisor.detail}"
            f"{f' ({status.reason})' if status.reason else ''}. Can Druid reach Kafka at {bootstrap_servers}, and does "
            "the topic exist? --bootstrap-servers names another address"
        )
    else:
        problem = f"no task reads after {seconds:.0f} s. Are all task slots of the indexer in use?"
    return (
        f"The stream {name} was started but does not read: {problem.rstrip('.')}.\nDruid keeps trying. To see it: "
        f"gateway ingest stream watch {name}. To end it: gateway ingest stream terminate {name}."
    )
