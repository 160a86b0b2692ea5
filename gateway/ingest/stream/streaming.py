"""Streams: start one, see how it does, hold it, end it.

Druid's supervisor keeps tasks reading a Kafka topic. A task's rows answer queries as it reads them. When it ends, its
segments and the topic's offsets go into the metadata in one transaction, and a task that fails leaves neither: the
next one reads from the stored offsets. So each message counts once.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from gateway.ingest.batch.ingestion import PATIENTLY
from gateway.ingest.batch.reports import State
from gateway.ingest.druid_client import Cluster, DruidClient, connect
from gateway.ingest.errors import FailedStream
from gateway.ingest.stream.reports import Condition, StreamStatus
from gateway.ingest.stream.spec import StreamSpec

POLL = 1.0


async def start(  # noqa: PLR0913 all but two have a default that is right
    spec: StreamSpec,
    cluster: Cluster,
    *,
    data_source: str | None = None,
    bootstrap_servers: str | None = None,
    wait: bool = True,
    wait_seconds: float = 120,
) -> StreamStatus:
    """Start a stream, or give the one there is a new spec; return when it reads, if `wait`. Raises IngestError.

    Compaction by tenant is set up with it, unless the data source has settings of its own for that.
    """
    name = data_source or spec.data_source
    async with connect(cluster) as client:
        before = frozenset(task.task_id for task in await client.stream_tasks(name))
        await client.start_stream(spec.submission(data_source, bootstrap_servers))
        if not await client.has_compaction(name):
            await client.set_compaction(spec.compaction(data_source))
        deadline = time.monotonic() + wait_seconds
        while True:
            status = await PATIENTLY(look, client, name, before)
            if not wait or status.condition in {Condition.READING, Condition.SUSPENDED}:
                return status
            if status.condition is Condition.FAILING or time.monotonic() > deadline:
                raise FailedStream(_why(status, bootstrap_servers or spec.bootstrap_servers, wait_seconds))
            await asyncio.sleep(POLL)


async def look(client: DruidClient, name: str, before: frozenset[str] = frozenset()) -> StreamStatus:
    """The stream as it is now; the tasks `before` are not looked at. Raises IngestError."""
    supervisor = await client.stream(name)
    throughput = await client.stream_throughput(name)
    tasks = [task for task in await client.stream_tasks(name) if task.task_id not in before]
    bad = throughput.rows.unparseable + throughput.rows.with_error
    errors = await client.stream_errors(name) if bad else ()
    return StreamStatus.of(supervisor, throughput, tasks, errors, datetime.now(UTC))


async def watch(cluster: Cluster, name: str, *, every: float = 2.0) -> AsyncIterator[StreamStatus]:
    """The stream again and again, until it is no more. Raises IngestError."""
    async with connect(cluster) as client:
        yield await look(client, name)
        while True:
            await asyncio.sleep(every)
            yield await PATIENTLY(look, client, name)


async def suspend(cluster: Cluster, name: str, *, wait_seconds: float = 300) -> None:
    """Return when what was read is published. What is served does not change. Raises IngestError."""
    async with connect(cluster) as client:
        await client.change_stream(name, "suspend")
        await _until_published(client, name, wait_seconds)


async def resume(cluster: Cluster, name: str) -> None:
    """It goes on where it was suspended. Raises IngestError."""
    async with connect(cluster) as client:
        await client.change_stream(name, "resume")


async def terminate(cluster: Cluster, name: str, *, wait_seconds: float = 300) -> None:
    """End it, when what was read is published. Started again, it goes on from there. Raises IngestError."""
    async with connect(cluster) as client:
        # A supervisor that is gone leaves its tasks alone, so they are waited for before.
        await client.change_stream(name, "suspend")
        await _until_published(client, name, wait_seconds)
        await client.change_stream(name, "terminate")


async def _until_published(client: DruidClient, name: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    # The supervisor itself forgets its tasks for a moment when it is suspended.
    while left := [task for task in await PATIENTLY(client.stream_tasks, name) if task.state is State.RUNNING]:
        if time.monotonic() > deadline:
            raise FailedStream(
                f"{name} is suspended, but its task {left[0].task_id} has not published what it read after "
                f"{seconds:.0f} s. It goes on doing so; until it has, its rows answer from the task."
            )
        await asyncio.sleep(POLL)


def _why(status: StreamStatus, bootstrap_servers: str, seconds: float) -> str:
    name = status.supervisor.name
    if status.failed:
        problem = (
            f"its tasks fail, {len(status.failed)} one after the other: {status.reason or 'Druid does not say why'}. "
            "The log of Druid's indexer names the cause"
        )
    elif not status.supervisor.reading and status.supervisor.detail != "RUNNING":
        problem = (
            f"Druid has been at {status.supervisor.detail}"
            f"{f' ({status.reason})' if status.reason else ''}: does Kafka answer at {bootstrap_servers}, as Druid "
            "sees it, and has it the topic? --bootstrap-servers names another address"
        )
    else:
        problem = f"no task reads yet after {seconds:.0f} s: are all of the indexer's task slots taken?"
    return (
        f"The stream {name} was started and does not read: {problem.rstrip('.')}.\nDruid goes on trying: "
        f"'gateway ingest stream watch {name}' shows it, 'gateway ingest stream terminate {name}' ends it."
    )
