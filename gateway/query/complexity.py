"""The size of a body. It is checked before the schema, because explaining every fault of a huge body takes long.

The body may have any shape here.
"""

from collections.abc import Iterator
from typing import Any

from gateway.errors import Problem
from gateway.query.filters import inner_filters
from gateway.query.limits import Limits
from gateway.query.validation_errors import pointer

MAX_VALUES = 5_000
"""The maximum number of JSON values in one body. Only one with several long filters can have more."""


def oversize(body: object, limits: Limits) -> Iterator[Problem]:
    """Yield what is too large: the body as a whole, and each of its filters."""
    if _has_more_than(MAX_VALUES, body):
        yield Problem("", f"has more than {MAX_VALUES} values in all")
    if isinstance(body, dict):
        yield from _filters(body.get("filters"), limits, "filters")
        aggregations = body.get("aggregations")
        for index, each in enumerate(aggregations if isinstance(aggregations, list) else ()):
            if isinstance(each, dict):
                yield from _filters(each.get("filter"), limits, "aggregations", index, "filter")


def _has_more_than(most: int, body: object) -> bool:
    level, found = [body], 1
    while level and found <= most:
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ())
        ]
        found += len(level)
    return found > most


def _filters(body: object, limits: Limits, *keys: str | int) -> Iterator[Problem]:
    level = [each for each in (body if isinstance(body, list) else [body]) if isinstance(each, dict)]
    depth = filters = values = 0
    while level:
        depth += 1
        filters += len(level)
        values += sum(len(each["values"]) for each in level if isinstance(each.get("values"), list))
        inner: list[Any] = [inner_filters(each) for each in level]
        level = [each for several in inner if isinstance(several, list) for each in several if isinstance(each, dict)]
    for found, most, what in (
        (depth, limits.filter_depth, "levels"),
        (filters, limits.filters, "filters"),
        (values, limits.filter_values, "values"),
    ):
        if found > most:
            yield Problem(pointer(*keys), f"has {found} {what}; at most {most} are allowed")
