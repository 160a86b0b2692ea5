"""What is wrong with the query parameters of a URL."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from gateway.errors import InvalidReport, Problem
from gateway.query.validation_errors import Suggestions, pointer


def wrong_names(parameters: Mapping[str, str], known: Sequence[str]) -> Iterator[Problem]:
    """Yield a problem for each parameter that is unknown, or that a multidict has more than once."""
    near = Suggestions()
    for name, count in Counter(name for name, _ in parameters.items()).items():
        if name not in known:
            message = f"unknown parameter{near.nearest(name, [*known])}; allowed: {', '.join(known)}"
            yield Problem(pointer(name), message)
        elif count > 1:
            yield Problem(pointer(name), "is given more than once")


def invalid_parameters(problems: Sequence[Problem]) -> InvalidReport:
    """Return the error that lists these problems."""
    return InvalidReport("A query parameter is wrong. Fix the parameters listed in errors.", problems=problems)
