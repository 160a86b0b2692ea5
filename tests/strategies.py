"""Hypothesis strategies for bodies of the reporting language that the gateway must accept, over all of it.

`bodies(dataset)` draws them; `values` narrows what dimensions are compared with, for tests that want matches in real
data. Everything is drawn from the contract and the catalog, nothing from gateway.query.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from gateway.catalog.model import Dataset, Dimension, Kind
from gateway.query.zones import TIME_ZONES

Json = dict[str, Any]
Values = Mapping[str, SearchStrategy[Any]]
"""For a dimension's name: what to compare it with."""

MILLISECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("milliseconds", "minutes", "hours", "days"))
LONGEST: Mapping[str, timedelta] = {
    "all": 3_650 * DAY,
    "minute": 3 * HOUR,
    "five_minute": 12 * HOUR,
    "fifteen_minute": 2 * DAY,
    "thirty_minute": 4 * DAY,
    "hour": 8 * DAY,
    "six_hour": 40 * DAY,
    "day": 200 * DAY,
    "week": 800 * DAY,
    "month": 3_650 * DAY,
    "quarter": 3_650 * DAY,
    "year": 3_650 * DAY,
}
"""For each granularity an interval of a few hundred buckets at most, so that many reports can be drawn."""
SUFFIXES = {"avg": "avg", "sum": "sum", "hyperUnique": "hyper_unique"}
LEAVES = ("selector", "in", "bound", "like")
COMPARISONS = ("equalTo", "greaterThan", "greaterThanOrEqualTo", "lessThan", "lessThanOrEqualTo")

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["", "%", "_", "\\", '"', "'", "b0a1d32b-e82c-11e4-b081-6c4008adf7e8", "null", "$&", "٣", "😀", "1"]
)
NUMBERS = (
    st.integers(-20, 20)
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e6, 1e6, allow_nan=False)
    | st.integers(-(10**15) + 1, 10**15 - 1).map(str)
    | st.decimals(-1_000, 1_000, places=2).map(lambda number: f"{number:f}")
)
# Some of them look like the gateway's own.
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,20}", fullmatch=True) | st.sampled_from(
    ["sum_x", "x_sum", "avg_sum_x", "x", "count", "timestamp", "event", "A" * 64]
)
# Half of them with something about their clocks: half and quarter hours, no midnight, two, a day that was left out.
ZONES = st.sampled_from(
    ["UTC", "Europe/Helsinki", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo",
     "America/Havana", "Atlantic/Azores", "Pacific/Apia", "America/St_Johns"]
) | st.sampled_from(sorted(TIME_ZONES))  # fmt: skip


@st.composite
def bodies(draw: DrawFn, dataset: Dataset, *, values: Values | None = None) -> Json:
    """Draw a body that the gateway must accept."""
    granularity = draw(st.sampled_from(list(LONGEST)))
    group_by = draw(st.lists(st.sampled_from(list(dataset.by_name)), unique=True, max_size=4))
    metrics = draw(_aggregations(dataset, {"start_time", *group_by}, values or {}))
    columns = [column for names, _ in metrics for column in names]
    body: Json = {
        "interval": draw(intervals(LONGEST[granularity])),
        "granularity": granularity,
        "group_by": group_by,
        "aggregations": [aggregation for _, aggregation in metrics],
    }
    optional: Mapping[str, SearchStrategy[Any]] = {
        "filters": _filter_lists(dataset, values or {}),
        "having": st.lists(_comparisons(columns), max_size=3),
        "order_by": st.lists(_orders(["start_time", *group_by, *columns]), max_size=4),
        "limit": st.integers(1, 1_000),
        "totals": st.booleans(),
    }
    body |= {key: draw(strategy) for key, strategy in optional.items() if draw(st.booleans())}
    used = {each["column"] for each in body.get("order_by", ())}.intersection(columns)
    if "limit" in body and not body.get("having") and not used and draw(st.booleans()):
        body["offset"] = draw(st.integers(0, 1_000))
    defaults = {"granularity": "all", "group_by": []}
    return {key: value for key, value in body.items() if value != defaults.get(key) or draw(st.booleans())}


@st.composite
def filters(draw: DrawFn, dataset: Dataset, values: Values | None = None, levels: int = 3) -> Json:
    """Draw one filter, at most so many levels deep."""
    # Drawn step by step: one strategy of all these would take longer to build than to draw from.
    kind = draw(st.sampled_from(LEAVES if levels == 1 else (*LEAVES, "and", "or", "not")))
    if kind == "not":
        return {"type": kind, "field": draw(filters(dataset, values, levels - 1))}
    if kind in ("and", "or"):
        return {"type": kind, "fields": draw(st.lists(filters(dataset, values, levels - 1), min_size=1, max_size=3))}
    able = [each for each in dataset.dimensions if kind != "like" or each.kind is Kind.STRING]
    dimension = draw(st.sampled_from(able))
    given = (values or {}).get(dimension.name, _values(dimension))
    return {"type": kind, "dimension": dimension.name, **draw(_comparands(kind, dimension, given))}


@st.composite
def intervals(draw: DrawFn, longest: timedelta) -> Json:
    """Draw an interval that holds some time and no more than `longest`."""
    zone = draw(ZONES)
    start = draw(
        st.datetimes(datetime(2018, 6, 1), datetime(2020, 6, 1))  # noqa: DTZ001 - UTC: see below
        | st.datetimes(datetime(1901, 1, 1), datetime(2180, 1, 1))  # noqa: DTZ001
    ).replace(tzinfo=UTC)
    start -= timedelta(microseconds=start.microsecond % 1000)
    if draw(st.booleans()):
        start = start.replace(minute=0, second=0, microsecond=0)
    length = draw(st.timedeltas(MINUTE, longest))
    end = start + length // MINUTE * MINUTE + draw(st.sampled_from([timedelta(), -MILLISECOND]))
    interval = {"start": draw(_written(start, ZoneInfo(zone))), "end": draw(_written(end, ZoneInfo(zone)))}
    return interval if zone == "UTC" and draw(st.booleans()) else {**interval, "time_zone": zone}


def _written(moment: datetime, zone: ZoneInfo) -> SearchStrategy[str]:
    """Return the ways to write a moment of whole milliseconds."""
    local = moment.astimezone(zone)
    naive = local.replace(tzinfo=None)
    offsets = st.integers(-18 * 60, 18 * 60).map(
        lambda minutes: moment.astimezone(timezone(timedelta(minutes=minutes)))
    )
    ways = [
        offsets.map(lambda shifted: shifted.isoformat(timespec="milliseconds")),
        st.just(f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"),
    ]
    # Of a local time that the clocks repeat the first is meant: the second one needs its offset.
    if not local.fold:
        ways.append(st.just(naive.isoformat(timespec="milliseconds")))
        if not naive.microsecond:
            ways.append(st.just(naive.isoformat(timespec="seconds")))
        if not (naive.second or naive.microsecond):
            ways.append(st.just(naive.isoformat(timespec="minutes")))
        if naive.time() == datetime.min.time():
            ways.append(st.just(naive.date().isoformat()))
    return st.one_of(ways)


def _values(dimension: Dimension) -> SearchStrategy[Any]:
    if dimension.kind is not Kind.STRING:
        return NUMBERS
    return st.sampled_from(dimension.allowed) if dimension.allowed else TEXTS


def _comparands(kind: str, dimension: Dimension, values: SearchStrategy[Any]) -> SearchStrategy[Json]:
    if kind == "selector":
        return st.fixed_dictionaries({"value": values | st.none()})
    if kind == "in":
        return st.fixed_dictionaries({"values": st.lists(values | st.none(), min_size=1, max_size=5)})
    if kind == "like":
        patterns = st.tuples(values, st.sampled_from(_FORMS)).map(lambda pair: pair[1](pair[0]))
        return st.fixed_dictionaries({"pattern": patterns}, optional={"escape": st.sampled_from("\\!é")})
    ordering = st.just("lexicographic" if dimension.kind is Kind.STRING else "numeric")
    strict = {"lowerStrict": st.booleans(), "upperStrict": st.booleans(), "ordering": ordering}
    return st.sampled_from([("lower",), ("upper",), ("lower", "upper")]).flatmap(
        lambda ends: st.fixed_dictionaries(dict.fromkeys(ends, values), optional=strict)
    )


_FORMS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: f"{text[:3]}%",
    lambda text: f"%{text[1:]}",
    lambda text: f"_{text[1:]}",
    lambda text: f"%{text[1:2]}%",
)


def _filter_lists(dataset: Dataset, values: Values) -> SearchStrategy[Json | list[Json]]:
    one = filters(dataset, values)
    return one | st.lists(one, max_size=3) | st.just({})


@st.composite
def _aggregations(draw: DrawFn, dataset: Dataset, taken: set[str], values: Values) -> list[tuple[list[str], Json]]:
    """Draw aggregations, each with the names of its columns, no two of which are alike."""
    found: list[tuple[list[str], Json]] = []
    for wish in draw(st.lists(_aggregation(dataset, values), min_size=1, max_size=4)):
        body = dict(wish)
        if "fields" in body:
            fields = body["fields"]
            columns = [body["name"]] if "name" in body else [f"{field}_{SUFFIXES[body['type']]}" for field in fields]
        else:
            columns = [body.get("name", "count")]
        if taken.isdisjoint(columns):
            taken |= {*columns}
            found.append((columns, body))
    # Nothing above may be free; this name always is.
    return found or [(["rows"], {"type": "count", "name": "rows"})]


@st.composite
def _aggregation(draw: DrawFn, dataset: Dataset, values: Values) -> Json:
    able = {kind: [each.name for each in dataset.dimensions if kind in each.aggregations] for kind in SUFFIXES}
    kind = draw(st.sampled_from(["count", *(kind for kind, names in able.items() if names)]))
    body: Json = {"type": kind}
    if kind != "count":
        body["fields"] = draw(st.lists(st.sampled_from(able[kind]), min_size=1, max_size=3, unique=True))
    if len(body.get("fields", ())) < 2 and draw(st.booleans()):
        body["name"] = draw(NAMES | st.sampled_from(list(dataset.by_name)))
    if draw(st.booleans()):
        body["filter"] = draw(filters(dataset, values))
    return body


def _comparisons(columns: list[str]) -> SearchStrategy[Json]:
    numbers = st.integers(-5, 100) | st.floats(-1e6, 1e6, allow_nan=False)
    return st.fixed_dictionaries(
        {"type": st.sampled_from(COMPARISONS), "metric": st.sampled_from(columns), "value": numbers}
    )


def _orders(columns: list[str]) -> SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {"column": st.sampled_from(columns)},
        optional={"direction": st.sampled_from(["ascending", "descending"])},
    )
