"""What Druid's errors mean, and what of them is logged."""

from time import thread_time

import orjson
import pytest
from structlog.testing import capture_logs

from gateway.druid.responses import TimeoutAboveLimit, error_in
from gateway.errors import InternalError
from tests.unit.druid.links import query

SECRET = "what-a-caller-filters-by"


def error_of(**said: object) -> Exception:
    """Return the error for a 400 of Druid to a query that filters by SECRET."""
    native = query().native
    value = {"type": "selector", "dimension": "scope", "value": SECRET}
    sent = {**native, "filter": {"type": "and", "fields": [*native["filter"]["fields"], value]}}
    return error_in(400, bytearray(orjson.dumps(said)), orjson.dumps(sent))


def test_druid_names_the_limit_of_its_timeouts() -> None:
    error = error_of(errorMessage="Configured timeout = 600000 is more than enforced limit of 1000.")
    assert isinstance(error, TimeoutAboveLimit)
    assert error.limit == 1000


@pytest.mark.parametrize(
    "message",
    [
        "Column [Configured timeout = 9 is more than enforced limit of 1000.] is missing",
        "Configured timeout = 9 is more than enforced limit of 1000. And more",
        "Configured timeout = 9 is more than enforced limit of 999.",
        f"Configured timeout = 9 is more than enforced limit of {'9' * 5_000}.",
    ],
    ids=["repeated text", "longer", "below a second", "no number"],
)
def test_no_other_message_limits_the_timeout(message: str) -> None:
    assert isinstance(error_of(errorMessage=message), InternalError)


@pytest.mark.parametrize("rest", ["x " * 10_000, "x" * 20_000, "x" * 1_900 + " x"], ids=["words", "a word", "both"])
def test_everything_that_druid_says_is_cut_and_logged_without_the_callers_values(rest: str) -> None:
    said = f"Cannot compare [{SECRET}] with {rest}"
    with capture_logs() as lines:
        began = thread_time()
        error_of(error=said, errorClass={"name": said}, errorMessage=said)
        assert thread_time() - began < 0.02
    for name in ("error", "error_class", "message"):
        assert "Cannot compare […] with " in lines[0][name]
        assert len(lines[0][name]) <= 2_000


def test_what_druid_does_not_say_is_not_in_the_log() -> None:
    with capture_logs() as lines:
        error_of()
    assert (lines[0]["error"], lines[0]["error_class"]) == (None, None)
