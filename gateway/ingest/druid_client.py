"""The HTTP APIs of Druid's overlord, coordinator and broker, as far as an ingestion needs them."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import aiohttp
import orjson

from gateway.ingest.errors import LostTask, RejectedSpec, Unreachable
from gateway.ingest.reports import Report, Segment, TaskStatus

TIMEOUT = aiohttp.ClientTimeout(total=60, connect=5)


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

    async def _request(self, method: str, url: str, **arguments: Any) -> tuple[int, bytes]:  # noqa: ANN401 aiohttp's own
        headers = {"Content-Type": "application/json"} if "data" in arguments else None
        try:
            async with self._session.request(method, url, headers=headers, **arguments) as response:
                return response.status, await response.read()
        except aiohttp.TooManyRedirects as error:
            # So answers a coordinator that is not leader yet and knows of no other.
            raise Unreachable(f"The overlord at {url} has no leader yet.") from error
        except TimeoutError as error:
            raise Unreachable(f"{url} does not answer in {TIMEOUT.total:g} s. Is Druid overloaded?") from error
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
