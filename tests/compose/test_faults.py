"""Services are killed and restarted under constant requests: callers get correct responses or clear errors only."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.compose.stack import Caller, Stack, eventually
from tests.live.reports import report
from tests.serving import Answer, D

Callers = Callable[[str], Caller]

RIGHT = [["2018-12-01T00:00:00.000+02:00", 27]]
DOWN = 15.0
"""Seconds before a killed service is restarted."""
RECOVERED = 240.0
"""Seconds from the restart until responses must be correct again, on a busy machine."""


@dataclass(slots=True)
class Seen:
    """Responses during a fault: correct ones, errors by status and code, and everything else."""

    right: int = 0
    errors: Counter[tuple[int, str]] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def note(self, answer: Answer) -> None:
        if answer.status == 200 and answer.json["data"] == RIGHT:
            self.right += 1
        elif answer.status in {502, 503, 504} and answer.headers["content-type"] == "application/problem+json":
            self.errors[answer.status, answer.json["code"]] += 1
        else:
            told = answer.json if answer.status == 200 else {**answer.json, "request_id": "…"}
            self.wrong[f"{answer.status} {told}"] += 1


@contextmanager
def asking(caller: Caller) -> Iterator[Seen]:
    """Send requests several times a second until the block ends.

    Druid computes each answer: while a Broker has not noticed that a Historical is gone, it would confirm stored ones.
    """
    seen, over = Seen(), threading.Event()

    def ask() -> None:
        while not over.wait(0.3):
            try:
                seen.note(caller.post(report(), fresh=True))
            except OSError as error:
                seen.wrong[repr(error)] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def is_right(caller: Caller) -> bool:
    answer = caller.post(report())
    return answer.status == 200 and answer.json["data"] == RIGHT


@pytest.mark.parametrize(
    ("service", "code"),
    [("broker", "upstream_unavailable"), ("historical", None), ("postgres", "accounts_unavailable")],
)
def test_while_a_service_is_down_responses_are_correct_or_clear_errors_and_recover(
    stack: Stack, caller: Callers, hand_counted: str, service: str, code: str | None
) -> None:
    assert hand_counted
    d = caller(D)
    assert eventually(lambda: is_right(d), RECOVERED)
    with asking(d) as seen:
        stack.compose("kill", "--signal", "KILL", service)
        time.sleep(DOWN)
        while_down = Counter(seen.errors)
        started = time.monotonic()
        stack.compose("start", service)
        assert eventually(lambda: is_right(d), RECOVERED), seen
        took = time.monotonic() - started
        # Responses stay correct.
        errors = seen.errors.total()
        time.sleep(5)
    print(f"{service}: {took:.0f} s until responses were correct again; {seen}")
    assert not seen.wrong
    assert while_down
    assert code is None or code in {told for _, told in while_down}
    assert seen.errors.total() <= errors + 1


def test_reports_are_answered_without_redis(stack: Stack, caller: Callers, hand_counted: str) -> None:
    assert hand_counted
    with asking(caller(D)) as seen:
        stack.compose("kill", "--signal", "KILL", "redis")
        time.sleep(5)
        stack.compose("start", "redis")
    assert seen.right
    assert (seen.errors, seen.wrong) == (Counter(), Counter())


def test_a_service_restarts_when_its_process_dies(stack: Stack, caller: Callers, hand_counted: str) -> None:
    assert hand_counted
    # Kills every process of the gateway's user except the init process, which is the parent of the gateway.
    stack.compose("exec", "-T", "gateway", "python", "-c", "import os, signal; os.kill(-1, signal.SIGKILL)")

    def answers() -> bool:
        try:
            return is_right(caller(D))
        except OSError:
            return False

    assert eventually(answers, RECOVERED)


def test_all_services_stop_in_time_and_data_survives_a_restart(
    stack: Stack, caller: Callers, hand_counted: str
) -> None:
    assert hand_counted
    stack.compose("stop")
    # 0, or 128 plus the number of the stop signal. 137 would mean killed after the grace period.
    assert set(stack.exit_codes().values()) <= {0, 130, 143}, stack.exit_codes()
    stack.compose("down")
    stack.up()
    assert is_right(caller(D))
