"""The Locust part: users who send the requests of a scenario.

`python -m tests.load` starts it (LOAD_SCENARIO, LOAD_SAMPLES). The same user sends each report twice in a row, to the
gateway and to Druid's broker, in random order, so that both have the same machine and the same load.
"""

import os
from itertools import accumulate
from pathlib import Path
from random import Random

import orjson
from locust import FastHttpUser, constant_pacing, events, task
from pydantic import TypeAdapter

from tests.load.scenario import Question, Sample, Scenario, Way

SCENARIO = TypeAdapter(Scenario).validate_json(Path(os.environ["LOAD_SCENARIO"]).read_bytes())
WEIGHTS = tuple(accumulate(question.weight for question in SCENARIO.questions))
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
SECONDS_BETWEEN_INTRUSIONS = 1.5
"""40 a minute: the gateway refuses an address after 100 (GATEWAY_FAILED_AUTHENTICATIONS_PER_MINUTE)."""

samples: list[Sample] = []


class Asking(FastHttpUser):
    """A user who sends requests and checks the responses."""

    abstract = True
    host = SCENARIO.gateway_url
    # A little more than the gateway's own timeout.
    network_timeout = connection_timeout = 70.0

    def ask_gateway(self, question: Question) -> None:
        headers = HEADERS | ({"Authorization": question.authorization} if question.authorization else {})
        self._ask(question, Way.GATEWAY, question.path, question.body, headers)

    def ask_druid(self, question: Question) -> None:
        if question.native is not None:
            self._ask(question, Way.DRUID, f"{SCENARIO.broker_url}/druid/v2", question.native, HEADERS)

    def _ask(self, question: Question, way: Way, url: str, body: str, headers: dict[str, str]) -> None:
        with self.client.post(
            url,
            data=body,
            headers=headers,
            name=f"{question.kind} ({way})",
            context={"kind": question.kind, "way": way},
            catch_response=True,
        ) as response:
            if fault := _fault(question, way, response.status_code, response.content or b""):
                response.failure(fault)
            else:
                response.success()


class Caller(Asking):
    """Sends the next request as soon as the last one was answered."""

    random = Random()

    @task
    def report(self) -> None:
        [question] = self.random.choices(SCENARIO.questions, cum_weights=WEIGHTS)
        for ask in self.random.sample((self.ask_gateway, self.ask_druid), 2):
            ask(question)


class Intruder(Asking):
    """A user without a valid token."""

    fixed_count = 1
    wait_time = constant_pacing(SECONDS_BETWEEN_INTRUSIONS)
    _turn = 0

    @task
    def intrude(self) -> None:
        self.ask_gateway(SCENARIO.intrusions[self._turn % len(SCENARIO.intrusions)])
        self._turn += 1


def _fault(question: Question, way: Way, status: int, content: bytes) -> str | None:
    """Describe how the response differs from the expected one, if it does."""
    expected = question.status if way is Way.GATEWAY else 200
    try:
        answer = orjson.loads(content)
    except ValueError:
        return f"answered {status}, with no JSON: {content[:100]!r}"
    if status != expected:
        # Without the request id, so that equal failures are counted together.
        told = {name: answer[name] for name in ("code", "detail", "error", "errorMessage") if name in answer}
        return f"answered {status}, not {expected}: {told}"
    match way:
        case Way.DRUID if not isinstance(answer, list):
            return "no rows in Druid's answer"
        case Way.GATEWAY if question.code is not None and answer["code"] != question.code:
            return f"the code is {answer['code']}, not {question.code}"
        case Way.GATEWAY if question.rows is not None and len(answer["data"]) != question.rows:
            return f"{len(answer['data'])} rows, where it had been {question.rows} before"
        case _:
            return None


def _keep(
    *, response_time: float, exception: Exception | None, start_time: float, context: dict[str, str], **_: object
) -> None:
    failure = None if exception is None else str(exception)
    samples.append(Sample(context["kind"], Way(context["way"]), start_time, response_time, failure))


def _write(**_: object) -> None:
    Path(os.environ["LOAD_SAMPLES"]).write_bytes(TypeAdapter(list[Sample]).dump_json(samples))


# Locust has no types for these two.
events.request.add_listener(_keep)  # type: ignore[no-untyped-call]
events.quitting.add_listener(_write)  # type: ignore[no-untyped-call]
