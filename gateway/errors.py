"""Every way in which a request can fail: one exception class each, with its HTTP status and a stable code.

Callers see `detail` and `problems`. Neither ever contains a host name, a class name, or text from Druid or the
database; those go to the log (`__cause__`, log events).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

RETRY_SOON = {"Retry-After": "5"}
"""For failures that pass without the caller's help: a server that restarts, a queue that drains."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a request body.

    `pointer` is the JSON Pointer (RFC 6901) of the faulty value, "" for the whole body.
    """

    pointer: str
    message: str


class GatewayError(Exception):
    """A failure that is reported to the caller as RFC 9457 problem+json."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self, detail: str, *, headers: Mapping[str, str] | None = None, problems: Sequence[Problem] = ()
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}
        self.problems = tuple(problems)


class InvalidJson(GatewayError):
    """The body is not a JSON text with exactly one reading (RFC 8259, I-JSON)."""

    status, code, title = 400, "invalid_json", "The body is not valid JSON"


class InvalidReport(GatewayError):
    """The body is JSON but not a report in the query language; `problems` lists every fault."""

    status, code, title = 400, "invalid_report", "The report is not valid"


class LimitExceeded(GatewayError):
    """A valid report that is larger than this gateway's limits."""

    status, code, title = 400, "limit_exceeded", "The report is larger than the limits allow"


class NotAcceptable(GatewayError):
    """The caller accepts none of the response formats."""

    status, code, title = 406, "not_acceptable", "No acceptable response format"


class BodyTimeout(GatewayError):
    """The caller did not send its body in time."""

    status, code, title = 408, "request_timeout", "The body did not arrive in time"


class UnsupportedMediaType(GatewayError):
    """The body of QUERY is not declared as JSON."""

    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class Unauthenticated(GatewayError):
    """The request has no credential, or none that is valid."""

    status, code, title = 401, "unauthenticated", "Not authenticated"

    def __init__(self, detail: str, *, challenge: str = "Token") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(GatewayError):
    """The caller is authenticated but has no access."""

    status, code, title = 403, "forbidden", "No access"


class NotFound(GatewayError):
    """The organization, or what the URL names of it, does not exist."""

    status, code, title = 404, "not_found", "Not found"


class DataChanged(GatewayError):
    """A page of a report cannot come from the same state of the data as the first one."""

    status, code, title = 409, "data_changed", "The data has changed"


class RateLimited(GatewayError):
    """The caller has used up a rate limit or a concurrency limit; `headers` say when to retry."""

    status, code, title = 429, "rate_limited", "Too many requests"


class QueueFull(GatewayError):
    """Too many queries are already waiting for a slot."""

    status, code, title = 429, "rate_limited", "Too many requests"


class MemoryExhausted(GatewayError):
    """The memory budget for bodies or responses in transit is used up."""

    status, code, title = 429, "too_many_requests", "Too many requests"


class DruidBusy(GatewayError):
    """Druid has no capacity for this query at the moment."""

    status, code, title = 429, "too_many_requests", "Too many requests"


class ReportTooLarge(GatewayError):
    """Druid aborted the report because it needs more memory or disk than one query may use."""

    status, code, title = 422, "report_too_large", "The report is too large"


class InternalError(GatewayError):
    """A fault in the gateway itself."""

    status, code, title = 500, "internal", "Internal error"


class InvalidDruidResponse(GatewayError):
    """Druid responded, but not with a complete, well-formed result."""

    status, code, title = 502, "bad_upstream_answer", "The database gave no usable answer"


class DruidUnavailable(GatewayError):
    """Druid cannot be reached, or reports that it cannot answer at the moment."""

    status, code, title = 503, "upstream_unavailable", "The database is not available"


class DataUnavailable(GatewayError):
    """Some existing data is not being served at the moment; a number over the rest would be wrong."""

    status, code, title = 503, "data_unavailable", "A part of the data is not available"


class DataSetUnavailable(GatewayError):
    """The data set's file does not match Druid's columns; a number over other columns would be wrong."""

    status, code, title = 503, "data_set_unavailable", "The data set is not available"


class AccountsUnavailable(GatewayError):
    """The account database does not respond, so no caller can be authenticated or authorized."""

    status, code, title = 503, "accounts_unavailable", "The account database is not available"


class DeadlineExceeded(GatewayError):
    """The report took longer than a request may take."""

    status, code, title = 504, "timeout", "The report took too long"
