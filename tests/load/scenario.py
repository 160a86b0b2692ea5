"""What the runner hands to Locust, and what it gets back.

They are processes of their own, since Locust patches the whole of its process.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Way(StrEnum):
    """How a question was put."""

    GATEWAY = "gateway"
    DRUID = "druid"


@dataclass(frozen=True, slots=True)
class Caller:
    """An organization and a token of one of its users."""

    organization_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Question:
    """A request and what must come back: `status`, a problem's `code` or else so many `rows`.

    `weight` says how often it is asked, beside the others'; `native` is the query that the gateway makes of it.
    """

    kind: str
    weight: float
    path: str
    authorization: str = field(repr=False)
    body: str
    status: int = 200
    code: str | None = None
    native: str | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """`questions` are asked without a pause, `intrusions` slowly: failed authentications are limited by address."""

    gateway_url: str
    broker_url: str
    questions: tuple[Question, ...]
    intrusions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer: `at` in seconds since 1970, when it was asked for; `ms` until its last byte was there."""

    kind: str
    way: Way
    at: float
    ms: float
    failure: str | None
