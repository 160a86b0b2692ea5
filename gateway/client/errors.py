"""The one error of the client."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault in the report. `pointer` is the JSON Pointer of the faulty value, "" for the whole report."""

    pointer: str
    message: str


class ReportingError(Exception):
    """A report was not answered.

    `code` is stable: one of docs/errors.md, or one of the client's own, `no_response` and `unexpected_response`.
    Without a response, `status` is None; a response of another server, such as a proxy, has no `request_id`.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str,
        status: int | None = None,
        request_id: str | None = None,
        errors: Sequence[Problem] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.request_id = request_id
        self.errors = tuple(errors)

    def __str__(self) -> str:
        problems = "".join(f"\n{each.pointer or '(the report)'}: {each.message}" for each in self.errors)
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.code}: {self.detail}{request}{problems}"
