"""The input and output of the Locust process.

They are processes of their own, since Locust patches the whole of its process.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Way(StrEnum):
    """The route of a request."""

    GATEWAY = "gateway"
    DRUID = "druid"


@dataclass(frozen=True, slots=True)
class Caller:
    """An organization and a token of one of its users."""

    organization_id: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Question:
    """A request with its expected `status` and error `code` or number of `rows`.

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
    """`questions` are sent without pauses, `intrusions` slowly: failed authentications are limited by address."""

    gateway_url: str
    broker_url: str
    questions: tuple[Question, ...]
    intrusions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One response. `at`: time of the request in seconds since 1970; `ms`: time to the last byte."""

    kind: str
    way: Way
    at: float
    ms: float
    failure: str | None
