"""What is sent and received. Pure: the clients do the I/O."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from gateway.client.errors import Problem, ReportingError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its credential. `target` is the path with the query string, below the gateway's URL."""

    target: str
    body: bytes | None = field(default=None, repr=False)

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def request_id(self) -> str | None:
        return self.headers.get("x-request-id")


@dataclass(frozen=True, slots=True)
class NoResponse:
    """The connection failed or the time was over, before the response was complete."""

    reason: str


NO_TIME: Final = NoResponse("the time is over")
Outcome = Response | NoResponse


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """A request, and how to read its response of status 200."""

    request: Request
    read: Callable[[Response], T]

    def result(self, outcome: Outcome, url: str) -> T:
        """Return what the response of the gateway with this URL means. Raises ReportingError."""
        if isinstance(outcome, NoResponse):
            raise ReportingError(f"The gateway at {url} did not respond: {outcome.reason}", code="no_response")
        if outcome.status != 200:
            raise error(outcome, url)
        try:
            return self.read(outcome)
        except (ValueError, KeyError, TypeError, AttributeError) as failure:
            raise _unexpected(outcome, url) from failure


def error(response: Response, url: str) -> ReportingError:
    """Return the error that a response reports as problem+json."""
    try:
        problem: Any = json.loads(response.body)
        return ReportingError(
            problem["detail"],
            code=problem["code"],
            status=response.status,
            request_id=problem["request_id"],
            errors=[Problem(each["pointer"], each["message"]) for each in problem.get("errors", ())],
        )
    except (ValueError, KeyError, TypeError):
        return _unexpected(response, url)


def _unexpected(response: Response, url: str) -> ReportingError:
    kind = response.headers.get("content-type", "no content type")
    return ReportingError(
        f"The response of {url}, with status {response.status} ({kind}), is not one of the gateway's.",
        code="unexpected_response",
        status=response.status,
        request_id=response.request_id,
    )
