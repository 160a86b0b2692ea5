"""Hypothesis strategies for reports in the whole language, with values that the data has and values that it lacks."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.oracle import clock
from tests.oracle.additions import additions, can_have_pages, metric_names
from tests.oracle.columns import Columns
from tests.oracle.expected import COMPARISONS
from tests.oracle.odd_rows import TEXTS, ZONES
from tests.oracle.oracle import Oracle

Body = dict[str, Any]
Strategy = st.SearchStrategy[Any]

OTHER_ZONES: Final = (
    "Africa/Casablanca",
    "America/Asuncion",
    "America/Caracas",
    "America/Havana",
    "America/St_Johns",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Tehran",
    "Etc/GMT+12",
    "Europe/London",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
)
SIZES: Final = {
    **clock.FIXED,
    **{name: hours * 60 * clock.MINUTE for name, hours in {"six_hour": 6, "day": 24, "week": 168}.items()},
    **{name: days * 24 * 60 * clock.MINUTE for name, days in {"month": 31, "quarter": 92, "year": 366}.items()},
}
"""The approximate length of a bucket, in milliseconds."""
DAY: Final = SIZES["day"]


class Data:
    """A sample of the rows: some values of each column, and some of their moments.

    No dataclass, which hypothesis would print whole for every draw.
    """

    def __init__(self, columns: Columns, values: Mapping[str, Sequence[Any]], moments: Sequence[int]) -> None:
        self.columns = columns
        self.values = values
        self.moments = moments

    @classmethod
    def of(cls, oracle: Oracle) -> "Data":
        def some(values: Sequence[Any], count: int) -> Sequence[Any]:
            return values[:: max(1, len(values) // count)]

        def often_and_seldom(values: Sequence[Any]) -> Sequence[Any]:
            return [*values[:12], *some(values[12:], 30)]

        columns = oracle.columns
        values = {name: often_and_seldom(oracle.values(name)) for name in columns.all}
        return cls(columns, values, some(oracle.moments(), 200))


@st.composite
def reports(draw: st.DrawFn, data: Data, *, real_time: bool = True) -> Body:
    """Bodies that the gateway must accept. See `additions` for `real_time`."""
    body: Body = draw(intervals(data))
    groups = draw(st.sampled_from((0, 0, 1, 1, 2, 3)))
    dimensions = draw(st.lists(st.sampled_from(data.columns.all), min_size=groups, max_size=groups, unique=True))
    spelled_out: bool = draw(st.booleans())
    if dimensions or spelled_out:
        body["group_by"] = dimensions
    body["aggregations"] = draw(aggregations(data))
    how = draw(st.sampled_from(("leaf", "leaf", "tree", "tree", "list", "nothing", "absent")))
    if how != "absent":
        several = st.lists(filters(data), min_size=1, max_size=3)
        nothing: Strategy = st.sampled_from(({}, []))
        kinds = {"leaf": leaves(data), "tree": filters(data), "list": several, "nothing": nothing}
        body["filters"] = draw(kinds[how])
    names = draw(additions(body, data.columns, real_time=real_time))
    if not draw(st.integers(0, 2)):
        orders = st.lists(st.sampled_from(["start_time", *dimensions, *names]), min_size=1, max_size=3, unique=True)
        body["order_by"] = [_with(draw, {"column": c}, "direction", _DIRECTION) for c in draw(orders)]
    if not draw(st.integers(0, 3)):
        body["having"] = draw(st.lists(havings(names), max_size=2))
    if not draw(st.integers(0, 3)):
        body["limit"] = draw(st.integers(1, 8) | st.integers(1, 100_000))
        if can_have_pages(body, data.columns):
            _with(draw, body, "offset", st.integers(0, 8) | st.integers(0, 1_000))
    if not draw(st.integers(0, 3)):
        body["totals"] = draw(st.booleans())
    return body


_DIRECTION: Final = st.sampled_from(("ascending", "descending"))
_FEW: Final = st.sampled_from((0, 1, 2, 3, 5, 10, 100, 0.5, 12.5, -1, 2**53 - 1))


def havings(names: Sequence[str]) -> Strategy:
    kinds = st.sampled_from(sorted(COMPARISONS))
    return st.fixed_dictionaries({"type": kinds, "metric": st.sampled_from(names), "value": _FEW})


@st.composite
def intervals(draw: st.DrawFn, data: Data) -> Body:
    """The keys interval and granularity. The interval is near a change of the offset, near a row, or anywhere."""
    zone = draw(st.sampled_from(ZONES) | st.sampled_from(OTHER_ZONES))
    granularity = draw(st.sampled_from(("all", *SIZES)))
    changes = [at for at in clock.offset_changes(zone) if _PERIOD[0] < at < _PERIOD[1]]
    anchors = [st.sampled_from(data.moments), st.integers(*_PERIOD)]
    if changes:
        near = st.sampled_from((0, 1, -1, 30 * clock.MINUTE, -30 * clock.MINUTE, 90 * clock.MINUTE, -DAY, 2 * DAY))
        anchors += [st.builds(int.__add__, st.sampled_from(changes), near)] * 2
    anchor = draw(st.one_of(anchors))
    longest = 400 * DAY if granularity == "all" else min(400 * DAY, draw(_BUCKETS) * SIZES[granularity])
    length = max(1, longest // draw(st.sampled_from((1_000, 1_000, 2_000, 3_000, 10_000, 1_000_000)))) * 1000
    start = anchor - draw(st.sampled_from((0, length // 2, length)))
    texts = [
        draw(timestamps(start, zone)),
        draw(timestamps(start + length, zone) | timestamps(start + length - 1, zone) | late_ends(start + length, zone)),
    ]
    if clock.moment(texts[0], zone) >= clock.moment(texts[1], zone, end=True):
        # Rounding and repeated hours can reverse an interval.
        texts = [_plain(start), _plain(start + length)]
    interval = {"start": texts[0], "end": texts[1]}
    if zone != "UTC" or draw(st.booleans()):
        interval["time_zone"] = zone
    body: Body = {"interval": interval}
    if granularity != "all" or draw(st.booleans()):
        body["granularity"] = granularity
    return body


_PERIOD: Final = (clock.moment("2018-10-20", "UTC"), clock.moment("2020-04-10", "UTC"))
_BUCKETS: Final = st.one_of(*[st.integers(1, most) for most in (10, 60, 400, 400, 2_000, 2_000, 2_000, 10_000, 44_000)])


@st.composite
def timestamps(draw: st.DrawFn, at: int, zone: str) -> str:
    """The moment, or one close to it, in any valid form."""
    local = clock.shown(at, zone)
    forms = [
        local,
        local[:23],
        local[:16],
        local[:16] + local[23:],
        local[:10],
        _plain(at),
        clock.shown(at, draw(st.sampled_from(ZONES))),
        local[:23] + draw(st.sampled_from(("0", "1", "999", "000001", "9"))) + local[23:],
    ]
    return draw(st.just(local) | st.sampled_from(forms))


def late_ends(at: int, zone: str) -> Strategy:
    """Ends around .999 in the second of the moment: those above .998 and below .999 do not include the row at .999."""
    local = clock.shown(at, zone)
    fractions = st.sampled_from(_LATE) | st.integers(998_000_000, 999_999_999).map(str)
    return fractions.map(lambda fraction: f"{local[:20]}{fraction}{local[23:]}")


_LATE: Final = ("998", "998000001", "9985", "998999999", "999", "999000001", "9995", "999999999")


def _plain(at: int) -> str:
    return clock.shown(at, "UTC").replace("+00:00", "Z")


@st.composite
def aggregations(draw: st.DrawFn, data: Data) -> list[Body]:
    """One to four aggregations with distinct column names."""
    found: list[Body] = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(("count", *data.columns.computed)))
        each: Body = {"type": kind}
        if kind != "count":
            each["fields"] = draw(
                st.lists(st.sampled_from(data.columns.computed[kind]), min_size=1, max_size=3, unique=True)
            )
        elif not draw(st.integers(0, 3)):
            each["fields"] = []
        if kind == "quantile":
            each["fraction"] = draw(st.sampled_from((0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.999, 1)))
        if draw(st.integers(0, 2)) == 0:
            each["filter"] = draw(filters(data))
        taken = set(metric_names(found))
        if len(metric_names([each])) == 1 and (draw(st.booleans()) or taken & set(metric_names([each]))):
            each["name"] = draw(st.sampled_from(("real_chats", "x", "Total", "n_1"))) + f"_{number}"
        if not taken & set(metric_names([each])):
            found.append(each)
    return found


@cache
def filters(data: Data) -> Strategy:
    """Trees of filters, rarely deeper than four."""

    def deeper(inner: Strategy) -> Strategy:
        some = st.lists(inner, min_size=1, max_size=3)
        return st.builds(_group, st.sampled_from(("and", "or")), some) | st.builds(_negation, inner)

    return st.recursive(leaves(data), deeper, max_leaves=8)


def _group(kind: str, fields: list[Body]) -> Body:
    return {"type": kind, "fields": fields}


def _negation(inner: Body) -> Body:
    return {"type": "not", "field": inner}


@st.composite
def leaves(draw: st.DrawFn, data: Data) -> Body:
    kind = draw(st.sampled_from(("selector", "selector", "in", "bound", "like")))
    # Ids match few rows, so columns with few values are drawn more often.
    columns = data.columns
    possible = [name for name in columns.all if kind != "like" or name not in columns.numbers]
    few = [name for name in possible if name in (*columns.enumerated, *columns.numbers)]
    dimension = draw(st.sampled_from(possible) | st.sampled_from(few or possible))
    value = values(data, dimension)
    each: Body = {"type": kind, "dimension": dimension}
    match kind:
        case "selector":
            each["value"] = draw(st.none() | value | value)
        case "in":
            each["values"] = draw(st.lists(value | value | st.none(), min_size=1, max_size=6))
        case "bound":
            free = value if dimension in columns.numbers else value | st.sampled_from(TEXTS)
            for side in draw(st.sampled_from((("lower",), ("upper",), ("lower", "upper")))):
                each[side] = draw(free)
                _with(draw, each, f"{side}Strict", st.booleans())
            _with(draw, each, "ordering", st.just("numeric" if dimension in columns.numbers else "lexicographic"))
        case "like":
            escape = draw(st.none() | st.sampled_from("\\!a%"))
            each["pattern"] = draw(patterns(data, dimension, escape))
            if escape is not None:
                each["escape"] = escape
    return each


@cache
def values(data: Data, dimension: str) -> Strategy:
    """Values of the rows, and values that no row has."""
    real = st.sampled_from(data.values[dimension])
    if dimension in data.columns.enumerated:
        return real | st.sampled_from(data.columns.enumerated[dimension])
    if dimension in data.columns.numbers:
        number = real | _FEW | st.integers(0, 20)
        return number | number.filter(lambda n: n < 1e15).map(lambda n: format(n, "d" if isinstance(n, int) else "f"))
    return real | st.sampled_from((*TEXTS, "absent", "ABSENT"))


@st.composite
def patterns(draw: st.DrawFn, data: Data, dimension: str, escape: str | None) -> str:
    """Values with wildcards; a character always follows an escape."""
    text: str = draw(st.sampled_from(data.values[dimension]) | st.sampled_from(TEXTS))
    if text and draw(st.booleans()):
        at = draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw(st.sampled_from(("%", "_", "%%", "_%"))) + text[at + draw(st.integers(0, 2)) :]
    text = draw(st.sampled_from(("{}", "{}%", "%{}", "%{}%"))).replace("{}", text[: draw(st.integers(0, 40))])
    if escape is None:
        return text
    if draw(st.booleans()):
        text = "".join(escape + c if c in ("%", "_", escape) and draw(st.booleans()) else c for c in text)
    trailing = len(text) - len(text.rstrip(escape))
    return text + "b" if trailing and _dangles(text, escape) else text


def _dangles(text: str, escape: str) -> bool:
    characters = iter(text)
    return any(character == escape and next(characters, None) is None for character in characters)


def _with(draw: st.DrawFn, each: Body, key: str, value: Strategy) -> Body:
    """Set the key or omit it."""
    if draw(st.booleans()):
        each[key] = draw(value)
    return each


assert timedelta(days=1) // clock.MILLISECOND == DAY
assert all(ZoneInfo(zone) for zone in (*ZONES, *OTHER_ZONES))
