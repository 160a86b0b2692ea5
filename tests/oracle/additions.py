"""Hypothesis strategies for the parts of a report that few reports have: each is added to a body."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from tests.oracle import clock
from tests.oracle.columns import Columns, column_name

Body = dict[str, Any]

_NUMBERS: Final = st.sampled_from((0, 1, 2, 100, -1, 0.5, 1e-7))
# They reach from the time of the rows to the present.
_LONG: Final = st.sampled_from(("P8Y", "P7Y", "P100M", "P90M", "P420W", "P2900D", "P9Y", "PT65000H"))
_SHORT: Final = st.builds(
    "P{0[0]}{1}{0[1]}".format,
    st.sampled_from((("T", "M"), ("T", "H"), ("", "D"), ("", "W"), ("", "M"))),
    st.integers(1, 3) | st.integers(1, 12),
) | st.just("P1Y")
_CURRENT: Final = st.sampled_from(("day", "week", "month", "quarter", "year"))


def metric_names(asked: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        name
        for each in asked
        for name in (
            [each["name"]]
            if "name" in each
            else [column_name(field, each["type"], each.get("fraction", 0.0)) for field in each.get("fields", ())]
        )
        or ["count"]
    ]


@st.composite
def additions(draw: st.DrawFn, body: Body, columns: Columns, *, real_time: bool) -> list[str]:
    """Add some parts to the body, and return the names of the answer's columns of numbers.

    In `real_time`, years have passed since the last row.
    """
    rarely = st.sampled_from((True, False, False, False))
    if draw(st.integers(0, 11 if real_time else 2)) == 0:
        _make_relative(draw, body, real_time=real_time)
    names = metric_names(body["aggregations"])
    if draw(rarely):
        body["post_aggregations"] = []
        for number in range(draw(st.integers(1, 2))):
            field = st.sampled_from(names) | _NUMBERS
            function = draw(st.sampled_from("+-*/"))
            each = {
                "type": "arithmetic",
                "name": f"derived_{number}",
                "fn": function,
                "fields": draw(st.lists(field, min_size=2, max_size=3)),
            }
            body["post_aggregations"].append(each)
            names.append(f"derived_{number}")
    groups = body.get("group_by", [])
    if groups and draw(rarely):
        _select(draw, body, columns)
    if groups and body.get("granularity", "all") != "all" and draw(rarely):
        body["fill"] = True
    # With the years since the rows on both sides, the intervals would be too long.
    if draw(rarely) and ("start" in body["interval"] or not real_time):
        body["compare"] = {"to": draw(_compared_with(body))}
        names = [each for name in names for each in (name, f"{name}_previous", f"{name}_change")]
    return names


def _make_relative(draw: st.DrawFn, body: Body, *, real_time: bool) -> None:
    last = _LONG if real_time else _SHORT
    interval: Body = {"last": draw(last)} if draw(st.integers(0, 3)) else {"current": draw(_CURRENT)}
    if "last" in interval and draw(st.booleans()):
        interval["include_current"] = draw(st.booleans())
    if "time_zone" in body["interval"]:
        interval["time_zone"] = body["interval"]["time_zone"]
    body["interval"] = interval
    if body.get("granularity", "all") not in ("all", "day", "week", "month", "quarter", "year"):
        body["granularity"] = draw(st.sampled_from(("day", "week", "month", "quarter", "year")))


def exact_names(body: Body, columns: Columns) -> list[str]:
    """The metrics that are the same numbers each time that they are computed."""
    return [
        name
        for each in body["aggregations"]
        if each["type"] in ("count", "min", "max")
        or (each["type"] == "sum" and all(field in columns.integers for field in each["fields"]))
        for name in metric_names([each])
    ]


def can_have_pages(body: Body, columns: Columns) -> bool:
    """Whether its rows are the same, in the same order, each time."""
    exact = exact_names(body, columns)
    exact += [f"{name}_{of}" for name in exact for of in ("previous", "change") if "compare" in body]
    steady = {"start_time", *body.get("group_by", ()), *exact}
    used = [each["column"] for each in body.get("order_by", ())] + [each["metric"] for each in body.get("having", ())]
    if "top" in body:
        used.append(body["top"]["by"])
    text = json.dumps(body)
    return "limit" in body and steady.issuperset(used) and not any(f'"{name}"' in text for name in columns.looked_up)


def _select(draw: st.DrawFn, body: Body, columns: Columns) -> None:
    exact = exact_names(body, columns)
    if not exact:
        body["aggregations"].append({"type": "count", "name": "rows"})
        exact = ["rows"]
    top: Body = {"groups": draw(st.integers(1, 5) | st.integers(1, 50)), "by": draw(st.sampled_from(exact))}
    if draw(st.booleans()):
        top["direction"] = draw(st.sampled_from(("ascending", "descending")))
    if not any(name in columns.sets for name in body["group_by"]):
        top["other"] = draw(st.booleans())
    body["top"] = top


@st.composite
def _compared_with(draw: st.DrawFn, body: Body) -> Any:
    """A named interval or, for a fixed one, another fixed one, which may overlap it."""
    name: str = draw(st.sampled_from(("previous_period", "previous_period", "previous_year", "fixed")))
    interval = body["interval"]
    if name != "fixed" or "start" not in interval:
        return "previous_period" if name == "fixed" else name
    zone = interval.get("time_zone", "UTC")
    start, end = clock.moment(interval["start"], zone), clock.moment(interval["end"], zone, end=True)
    distance = draw(st.sampled_from((0, 1000, 3_600_000, 86_400_000, end - start, 2 * (end - start))))
    start -= distance * draw(st.sampled_from((1, -1)))
    length = max(1000, draw(st.sampled_from((1, 2, 3))) * (end - start - distance) // 3 or end - start)
    return {"start": clock.shown(start, "UTC"), "end": clock.shown(start + length // 1000 * 1000, "UTC")}
