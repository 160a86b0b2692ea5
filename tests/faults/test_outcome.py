"""The summary of a timeline of responses."""

from collections import Counter

from tests.faults.outcome import RIGHT, WRONG, Outcome, Seen

TIMEOUT = (504, "timeout")


def test_responses_before_the_fault_do_not_count() -> None:
    outcome = Outcome.of([Seen(1, 1, 504, "timeout"), Seen(2, 2, 200, RIGHT)], began=3, ended=4)
    assert (outcome.right, outcome.errors) == (1, Counter())


def test_a_response_that_differs_from_the_known_one_is_wrong_and_not_an_error() -> None:
    outcome = Outcome.of([Seen(3, 1, 200, WRONG), Seen(3, 1, 504, "timeout")], began=3, ended=4)
    assert (outcome.right, outcome.wrong, outcome.errors) == (0, 1, Counter({TIMEOUT: 1}))


def test_the_slowest_response_is_of_a_request_after_the_start_of_the_fault() -> None:
    outcome = Outcome.of([Seen(1, 9, 504, "timeout"), Seen(4, 2, 504, "timeout")], began=3, ended=5)
    assert outcome.slowest == {TIMEOUT: 2}
    assert outcome.errors == Counter({TIMEOUT: 2})


def test_recovery_ends_with_the_last_error_of_a_request_after_the_fault() -> None:
    timeline = [Seen(4, 9, 504, "timeout"), Seen(6, 1, 503, "data_unavailable"), Seen(8, 1, 200, RIGHT)]
    assert Outcome.of(timeline, began=3, ended=5).recovery == 2
    assert Outcome.of(timeline[:1], began=3, ended=5).recovery == 0
