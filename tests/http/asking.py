"""A caller of the gateway, and what every refusal must look like."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.http import stand_in
from tests.serving import Answer, D, Gateway

DAY = {"start": "2019-01-01", "end": "2019-01-02", "time_zone": "Europe/Helsinki"}
COUNT: dict[str, Any] = {"interval": DAY, "aggregations": [{"type": "count"}]}
BY_OWNER = COUNT | {"group_by": ["owner_organization_id"]}

# No response may reveal what is behind the gateway, or how it is implemented.
WORDS = ("apache.druid", "127.0.0.1", "localhost", "exception", "traceback", "aiohttp", "python", "sqlite", "broker")
SECRETS = re.compile("|".join(map(re.escape, (*WORDS, stand_in.HOST, stand_in.CLASS, stand_in.TEXT))), re.IGNORECASE)


@dataclass(slots=True)
class Client:
    """An async context manager: it holds a connection to the gateway."""

    gateway: Gateway
    session: aiohttp.ClientSession = field(init=False)

    async def __aenter__(self) -> Self:
        self.session = aiohttp.ClientSession(self.gateway.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def post(self, body: object = None, *, organization: str = D, token: str | None = None) -> Answer:
        """Ask for a report, of COUNT unless there is a body."""
        headers = {"Authorization": f"Token {token or self.gateway.tokens[organization]}"}
        data = json.dumps(COUNT if body is None else body).encode()
        return await self.send("POST", self.gateway.path(organization), headers=headers, data=data)

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, data: Any = None
    ) -> Answer:
        async with self.session.request(method, path, headers=headers, data=data) as response:
            body = await response.read()
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, body)


async def ask(client: Client, body: object = COUNT, headers: Mapping[str, str] | None = None) -> Answer:
    """Ask for a report with these headers, too."""
    authorization = {"Authorization": f"Token {client.gateway.tokens[D]}"}
    return await client.send(
        "POST", client.gateway.path(), headers={**authorization, **(headers or {})}, data=json.dumps(body).encode()
    )


def assert_problem(answer: Answer, status: int, code: str) -> None:
    """The answer is problem+json (RFC 9457) of this status and code, has its request's id, and gives nothing away."""
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"]
    assert problem["detail"]
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert problem["request_id"] == answer.headers["x-request-id"]
    told = answer.body.decode() + str(dict(answer.headers))
    assert not SECRETS.search(told), told
