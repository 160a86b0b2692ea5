"""The HTTP APIs of Druid's overlord, coordinator and broker, as far as an ingestion needs them."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote

import aiohttp
import orjson

from gateway.ingest.batch.reports import Report, RowError, Segment, TaskStatus
from gateway.ingest.errors import LostTask, RejectedSpec, UnknownStream, Unreachable
from gateway.ingest.stream.reports import STREAM_TASK, Supervisor, Throughput, is_current, parse_errors

TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5)
# A supervisor takes no notice while it looks for a Kafka that does not answer: a minute, and then another.
PATIENT_TIMEOUT = aiohttp.ClientTimeout(total=180, connect=5)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Base URLs. `coordinator`, unless named, is where the overlord is: one process is both as a rule."""

    overlord: str
    broker: str
    coordinator: str | None = None


class DruidClient:
    """Raises Unreachable when a service does not answer as itself, which may pass: a coordinator that restarts, say."""

    def __init__(self, session: aiohttp.ClientSession, cluster: Cluster) -> None:
        self._session = session
        self._overlord = f"{cluster.overlord.rstrip('/')}/druid/indexer/v1"
        self._coordinator = f"{(cluster.coordinator or cluster.overlord).rstrip('/')}/druid/coordinator/v1"
        self._broker = f"{cluster.broker.rstrip('/')}/druid/v2"

    async def submit(self, task_id: str, submission: bytes) -> None:
        """Safe to repeat: a task that Druid already has under this id is not started twice."""
        status, body = await self._request("POST", f"{self._overlord}/task", data=submission)
        if status == 400 and task_id in _text(body) and "already exists" in _text(body):
            return
        if status in {400, 403, 413}:
            raise RejectedSpec(f"Druid refused the spec: {_text(body)}")
        if status != 200:
            _unexpected("overlord", self._overlord, status, body)

    async def status(self, task_id: str) -> TaskStatus:
        """Raises LostTask."""
        status, body = await self._request("GET", f"{self._overlord}/task/{task_id}/status")
        if status == 404:
            raise LostTask(task_id)
        return TaskStatus.parse(_json("overlord", self._overlord, status, body)["status"])

    async def report(self, task_id: str) -> Report | None:
        """None while there is none: before a task's first row, and for good when it failed early."""
        status, body = await self._request("GET", f"{self._overlord}/task/{task_id}/reports")
        if status != 200:
            return None
        return Report.parse(_json("overlord", self._overlord, status, body))

    async def tasks(self, data_source: str | None = None, *, running: bool = False, most: int = 50) -> list[TaskStatus]:
        """Newest first. `most` bounds those that have ended."""
        parameters = {"max": str(most)}
        if data_source is not None:
            parameters["datasource"] = data_source
        if running:
            parameters["state"] = "running"
        status, body = await self._request("GET", f"{self._overlord}/tasks", params=parameters)
        found = [TaskStatus.parse(task) for task in _json("overlord", self._overlord, status, body)]
        return sorted(found, key=lambda task: task.created, reverse=True)

    async def cancel(self, task_id: str) -> None:
        """Asks a task to end; it is there a little longer. Raises LostTask."""
        status, body = await self._request("POST", f"{self._overlord}/task/{task_id}/shutdown")
        if status == 404:
            raise LostTask(task_id)
        if status != 200:
            _unexpected("overlord", self._overlord, status, body)

    async def sample(self, sampler: bytes) -> list[dict[str, Any]]:
        """What Druid's parser makes of each row of a sampler spec."""
        status, body = await self._request("POST", f"{self._overlord}/sampler", data=sampler)
        if status == 400:
            raise RejectedSpec(f"Druid refused the spec: {_text(body)}")
        rows: list[dict[str, Any]] = _json("overlord", self._overlord, status, body)["data"]
        return rows

    async def stored_segments(self, data_source: str, intervals: Sequence[str]) -> list[Segment]:
        """From the metadata store itself, not from the coordinator's copy of it, which is up to a minute old."""
        url = f"{self._coordinator}/metadata/datasources/{data_source}/segments"
        status, body = await self._request("POST", url, params={"full": ""}, data=orjson.dumps(list(intervals)))
        if status in {204, 404}:
            return []
        return [Segment.stored(segment) for segment in _json("coordinator", self._coordinator, status, body)]

    async def queried_segments(self, data_source: str, intervals: Sequence[str]) -> list[Segment]:
        """What the broker would ask servers for in these intervals now."""
        url = f"{self._broker}/datasources/{data_source}/candidates"
        status, body = await self._request("GET", url, params={"intervals": ",".join(intervals)})
        listed = _json("broker", self._broker, status, body)
        return [Segment.queried(segment) for segment in listed if segment["locations"]]

    async def start_stream(self, submission: bytes) -> None:
        """A stream of this name that there is takes the new spec, and goes on where it was."""
        url = f"{self._overlord}/supervisor"
        status, body = await self._request("POST", url, params={"skipRestartIfUnmodified": "true"}, data=submission)
        if status in {400, 403, 413}:
            raise RejectedSpec(f"Druid refused the spec: {_text(body)}")
        if status != 200:
            _unexpected("overlord", self._overlord, status, body)

    async def streams(self) -> list[str]:
        """Names, sorted."""
        status, body = await self._request("GET", f"{self._overlord}/supervisor")
        return sorted(_json("overlord", self._overlord, status, body))

    async def stream(self, name: str) -> Supervisor:
        """Raises UnknownStream."""
        return Supervisor.parse(await self._of_stream(name, "GET", "status"))

    async def stream_throughput(self, name: str) -> Throughput:
        """Of the tasks that run now. Raises UnknownStream."""
        return Throughput.parse(await self._of_stream(name, "GET", "stats"))

    async def stream_errors(self, name: str) -> tuple[RowError, ...]:
        """Rows that the tasks that run now could not read. Raises UnknownStream."""
        return parse_errors(await self._of_stream(name, "GET", "parseErrors"))

    async def stream_tasks(self, name: str) -> list[TaskStatus]:
        """The newest first, those that have ended included."""
        return [task for task in await self.tasks(name) if task.type == STREAM_TASK]

    async def change_stream(self, name: str, action: str) -> None:
        """`suspend`, `resume` or `terminate`; of no effect where it is so already. Raises UnknownStream."""
        await self._of_stream(name, "POST", action, timeout=PATIENT_TIMEOUT)

    async def has_compaction(self, data_source: str) -> bool:
        status, body = await self._request("GET", f"{self._coordinator}/config/compaction/{data_source}")
        if status not in {200, 404}:
            _unexpected("coordinator", self._coordinator, status, body)
        return status == 200

    async def set_compaction(self, compaction: bytes) -> None:
        status, body = await self._request("POST", f"{self._coordinator}/config/compaction", data=compaction)
        if status == 400:
            raise RejectedSpec(f"Druid refused the compaction's settings: {_text(body)}")
        if status != 200:
            _unexpected("coordinator", self._coordinator, status, body)

    async def _of_stream(self, name: str, method: str, what: str, **arguments: Any) -> Any:  # noqa: ANN401 JSON of any shape
        stream = f"{self._overlord}/supervisor/{quote(name, safe='')}"
        status, body = await self._request(method, f"{stream}/{what}", **arguments)
        if status == 404:
            # While Druid puts one supervisor in another's place (suspend and resume do), it knows of none.
            if await self._is_stored(stream):
                raise Unreachable(f"Druid is just changing the stream {name}. Ask again in a moment.")
            raise UnknownStream(name)
        if status == 400 and "is already" in _text(body):
            return None
        return _json("overlord", self._overlord, status, body)

    async def _is_stored(self, stream: str) -> bool:
        """Whether the metadata store has a spec for this URL's stream."""
        status, body = await self._request("GET", f"{stream}/history")
        return status != 404 and is_current(_json("overlord", self._overlord, status, body))

    async def _request(self, method: str, url: str, **arguments: Any) -> tuple[int, bytes]:  # noqa: ANN401 aiohttp's own
        headers = {"Content-Type": "application/json"} if "data" in arguments else None
        try:
            async with self._session.request(method, url, headers=headers, **arguments) as response:
                return response.status, await response.read()
        except aiohttp.TooManyRedirects as error:
            # So answers a coordinator that is not leader yet and knows of no other.
            raise Unreachable(f"The overlord at {url} has no leader yet.") from error
        except TimeoutError as error:
            seconds = arguments.get("timeout", TIMEOUT).total
            raise Unreachable(f"{url} does not answer in {seconds:g} s. Is Druid overloaded?") from error
        except aiohttp.ClientConnectorError as error:
            number = error.os_error.errno
            reason = os.strerror(number) if number and number > 0 else error.os_error.strerror
            raise Unreachable(f"{url} cannot be reached: {reason}. Is Druid running there?") from error
        except aiohttp.ClientError as error:
            raise Unreachable(f"{url} cannot be reached ({error}). Is Druid running there?") from error


@asynccontextmanager
async def connect(cluster: Cluster) -> AsyncIterator[DruidClient]:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        yield DruidClient(session, cluster)


def _json(service: str, base: str, status: int, body: bytes) -> Any:  # noqa: ANN401 JSON of any shape
    if status != 200:
        _unexpected(service, base, status, body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        _unexpected(service, base, status, body)


def _unexpected(service: str, base: str, status: int, body: bytes) -> NoReturn:
    raise Unreachable(f"{base} does not answer like a Druid {service}: {status} {_text(body)[:200]}")


def _text(body: bytes) -> str:
    """Druid's own message, from JSON if it is in some."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace").strip()
    if isinstance(parsed, dict):
        return str(parsed.get("errorMessage") or parsed.get("error") or parsed)
    return str(parsed)
