"""The HTTP API of Druid's overlord: tasks, supervisors and the sampler.

https://druid.apache.org/docs/33.0.0/api-reference/tasks-api and …/supervisor-api
"""

from collections.abc import Container
from typing import Any

import aiohttp
import orjson

from gateway.druid.api.http import Service, ServiceError, UnexpectedStatus, message_in, quoted
from gateway.druid.supervisors import TASK_TYPE, Supervisor, Throughput, exists
from gateway.druid.tasks import Report, RowError, TaskStatus

_API = "druid/indexer/v1"
# The statuses with which Druid rejects a spec.
_REJECTED = (400, 403, 413)
# A supervisor does not react while it waits for a Kafka that does not respond, which can take two minutes.
_SLOW = aiohttp.ClientTimeout(total=180, connect=5)


class Unavailable(ServiceError):
    """The overlord cannot do this at the moment. It can after a while."""


class Rejected(ServiceError):
    """Druid rejected a spec."""


class UnknownTask(ServiceError):
    """Druid knows no task with this id."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(
            f"Druid knows no task {task_id}. 'gateway ingest list' shows the tasks that it knows. A task that Druid "
            "accepted and then lost changed no data; start it again."
        )


class UnknownSupervisor(ServiceError):
    """Druid has no supervisor with this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Druid has no stream {name}. 'gateway ingest stream list' shows the streams that it has.")


class Overlord:
    """Raises ServiceError, also where a method's description does not say so."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def submit(self, task_id: str, submission: bytes) -> None:
        """Start a task. Sending the same task again has no effect. Raises Rejected."""
        status, body = await self._fetch("POST", f"{_API}/task", data=submission, expected=(200, *_REJECTED))
        text = message_in(body)
        if status != 200 and not (task_id in text and "already exists" in text):
            raise Rejected(f"Druid rejected the spec: {text}")

    async def status(self, task_id: str) -> TaskStatus:
        """Raises UnknownTask."""
        return TaskStatus.parse((await self._of_task(task_id, "GET", "status"))["status"])

    async def report(self, task_id: str) -> Report | None:
        """Return None before a task's first row, and always for a task that failed before it."""
        status, body = await self._fetch("GET", _path("task", task_id, "reports"), expected=range(600))
        return Report.parse(_json(body)) if status == 200 else None

    async def tasks(self, data_source: str | None = None, *, running: bool = False, most: int = 50) -> list[TaskStatus]:
        """Return tasks, newest first, among them at most `most` that have ended."""
        params = {"max": str(most)}
        if data_source is not None:
            params["datasource"] = data_source
        if running:
            params["state"] = "running"
        _, body = await self._fetch("GET", f"{_API}/tasks", params=params)
        return sorted(map(TaskStatus.parse, _json(body)), key=lambda task: task.created, reverse=True)

    async def cancel(self, task_id: str) -> None:
        """Ask a task to end, which takes a moment. Raises UnknownTask."""
        await self._of_task(task_id, "POST", "shutdown")

    async def sample(self, sampler: bytes) -> list[dict[str, Any]]:
        """Return what Druid's parser makes of each row of a sampler spec. Raises Rejected."""
        status, body = await self._fetch("POST", f"{_API}/sampler", data=sampler, expected=(200, 400))
        if status == 400:
            raise Rejected(f"Druid rejected the spec: {message_in(body)}")
        rows: list[dict[str, Any]] = _json(body)["data"]
        return rows

    async def start_supervisor(self, submission: bytes) -> None:
        """Start a supervisor, or give a running one a new spec. Raises Rejected."""
        status, body = await self._fetch(
            "POST",
            f"{_API}/supervisor",
            params={"skipRestartIfUnmodified": "true"},
            data=submission,
            expected=(200, *_REJECTED),
        )
        if status != 200:
            raise Rejected(f"Druid rejected the spec: {message_in(body)}")

    async def supervisors(self) -> list[str]:
        """Return the names of all supervisors, sorted."""
        _, body = await self._fetch("GET", f"{_API}/supervisor")
        return sorted(_json(body))

    async def supervisor(self, name: str) -> Supervisor:
        """Raises UnknownSupervisor."""
        return Supervisor.parse(await self._of_supervisor(name, "GET", "status"))

    async def throughput(self, name: str) -> Throughput:
        """Return the throughput of the running tasks. Raises UnknownSupervisor."""
        return Throughput.parse(await self._of_supervisor(name, "GET", "stats"))

    async def parse_errors(self, name: str) -> tuple[RowError, ...]:
        """Return rows that the running tasks could not read. Raises UnknownSupervisor."""
        return tuple(map(RowError.parse, await self._of_supervisor(name, "GET", "parseErrors")))

    async def supervisor_tasks(self, name: str) -> list[TaskStatus]:
        """Return the tasks, also those that have ended, newest first."""
        return [task for task in await self.tasks(name) if task.type == TASK_TYPE]

    async def change_supervisor(self, name: str, action: str) -> None:
        """`suspend`, `resume` or `terminate`. Repeating an action has no effect. Raises UnknownSupervisor."""
        await self._of_supervisor(name, "POST", action, timeout=_SLOW)

    async def _fetch(
        self,
        method: str,
        path: str,
        *,
        expected: Container[int] = (200,),
        **arguments: Any,  # noqa: ANN401 - those of Service.fetch
    ) -> tuple[int, bytes]:
        status, body = await self._service.fetch(method, path, **arguments)
        if status not in expected:
            raise UnexpectedStatus(self._service, status, body)
        return status, body

    async def _of_task(self, task_id: str, method: str, what: str) -> Any:  # noqa: ANN401 - JSON of any shape
        status, body = await self._fetch(method, _path("task", task_id, what), expected=(200, 404))
        if status == 404:
            raise UnknownTask(task_id)
        return _json(body)

    async def _of_supervisor(
        self,
        name: str,
        method: str,
        what: str,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp enforces it
    ) -> Any:  # noqa: ANN401 - JSON of any shape
        status, body = await self._fetch(
            method, _path("supervisor", name, what), expected=(200, 400, 404), timeout=timeout
        )
        if status == 404:
            # Druid knows no supervisor while it replaces one by another, as suspend and resume do.
            if await self._is_stored(name):
                raise Unavailable(f"Druid is changing the stream {name}. Try again in a moment.")
            raise UnknownSupervisor(name)
        if status == 400:
            if "is already" in message_in(body):
                return None
            raise Rejected(f"Druid did not {what} the stream {name}: {message_in(body)}")
        return _json(body)

    async def _is_stored(self, name: str) -> bool:
        """Return whether the metadata store has a current spec for this supervisor."""
        status, body = await self._fetch("GET", _path("supervisor", name, "history"), expected=(200, 404))
        return status == 200 and exists(_json(body))


def _path(*segments: str) -> str:
    return f"{_API}/{quoted(*segments)}"


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON of any shape
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ServiceError(f"The overlord did not respond with JSON, but with {body[:40]!r}.") from error
