"""Every way in which a request can fail: one exception tree, each class with its HTTP status and a stable code.

What a caller is told is `detail` and `problems`, so neither ever holds a host, a class name or a text of Druid's
or of the database's: those belong to the log (`__cause__`, log events).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

RETRY_SOON = {"Retry-After": "5"}
"""For what passes by itself: a server that restarts, a queue that empties."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a request body.

    `pointer` is a JSON Pointer (RFC 6901) to the value at fault, "" for the whole body.
    """

    pointer: str
    message: str


class GatewayError(Exception):
    """A failure that the caller is told of as RFC 9457 problem+json."""

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
    """The body is no JSON text that can be read in only one way (RFC 8259, I-JSON)."""

    status, code, title = 400, "invalid_json", "The body is not valid JSON"


class InvalidReport(GatewayError):
    """The body is JSON, but no report in the query language; `problems` names every fault."""

    status, code, title = 400, "invalid_report", "The report is not valid"


class LimitExceeded(GatewayError):
    """A valid report that is larger than this gateway's limits."""

    status, code, title = 400, "limit_exceeded", "The report is larger than the limits allow"


class BodyTimeout(GatewayError):
    """The caller did not send its body in time."""

    status, code, title = 408, "request_timeout", "The body did not arrive in time"


class Unauthenticated(GatewayError):
    """Nobody, or nobody who can be believed, is asking."""

    status, code, title = 401, "unauthenticated", "Not authenticated"

    def __init__(self, detail: str, *, challenge: str = "Token") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class Forbidden(GatewayError):
    """The caller is known and may not ask this."""

    status, code, title = 403, "forbidden", "No access"


class NotFound(GatewayError):
    """There is no such organization."""

    status, code, title = 404, "not_found", "Not found"


class TooManyRequests(GatewayError):
    """The caller has asked as much as one may; `headers` say when there is more."""

    status, code, title = 429, "rate_limited", "Too many requests"


class DruidBusy(GatewayError):
    """Druid has no capacity left for this query now."""

    status, code, title = 429, "too_many_requests", "Too many requests"


class ReportTooLarge(GatewayError):
    """Druid gave up on the report because it needs more memory or disk than one query may have."""

    status, code, title = 422, "report_too_large", "The report is too large"


class InternalError(GatewayError):
    """A fault of the gateway's own."""

    status, code, title = 500, "internal", "Internal error"


class BadUpstreamAnswer(GatewayError):
    """Druid answered, but not with a whole, well-formed result."""

    status, code, title = 502, "bad_upstream_answer", "The database gave no usable answer"


class UpstreamUnavailable(GatewayError):
    """Druid cannot be reached, or says that it cannot answer now."""

    status, code, title = 503, "upstream_unavailable", "The database is not available"


class DataUnavailable(GatewayError):
    """Data that there is, is not being served at the moment: a number over the rest would be wrong."""

    status, code, title = 503, "data_unavailable", "A part of the data is not available"


class AccountsUnavailable(GatewayError):
    """The account store cannot be asked, so nobody can be let in."""

    status, code, title = 503, "accounts_unavailable", "The account database is not available"


class DeadlineExceeded(GatewayError):
    """The report took longer than a request may take."""

    status, code, title = 504, "timeout", "The report took too long"
