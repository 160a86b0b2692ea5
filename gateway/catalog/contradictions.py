"""How the values of a data set file, each of which is right by itself, fit together."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from gateway.catalog.document import Keys
from gateway.catalog.id_format import INTEGER, NAMES, id_format
from gateway.catalog.model import AGGREGATIONS_OF, Kind
from gateway.catalog.stored import METRICS_OF
from gateway.catalog.wording import nearest, shown

Found = tuple[Keys, str]
"""The keys of the value to fix, and the message."""

_Json = dict[str, Any]


def contradictions(dataset: _Json) -> Iterator[Found]:
    """Yield what is wrong. A dimension that the schema has rejected has only its name."""
    tenant: _Json = dataset.get("tenant", {})
    dimensions: list[_Json] = dataset.get("dimensions", [])
    names = [each["name"] for each in dimensions if "name" in each]
    yield from _within(("tenant",), _tenant(tenant))
    for index, dimension in enumerate(dimensions):
        keys: Keys = ("dimensions", index)
        if "name" in dimension and dimension["name"] in {each.get("name") for each in dimensions[:index]}:
            yield (*keys, "name"), f"there are two dimensions named {dimension['name']!r}"
        if "description" not in dimension:
            continue
        yield from _within(keys, _source(dimension, dimensions))
        yield from _within(keys, _aggregations(dimension, rolled_up="rows" in dataset))
        yield from _within(keys, _values(dimension))
        yield from _within(keys, _of_tenant(dimension, tenant))
    yield from _taken(dataset)
    yield from _within(("deprecated",), _deprecation(dataset.get("deprecated", {})))
    for index, advice in enumerate(dataset.get("advice", [])):
        if (name := advice.get("dimension")) is not None and name not in names:
            yield ("advice", index, "dimension"), f"{name!r} is not a dimension of this data set{nearest(name, names)}"


def column_of(dimension: _Json) -> str | None:
    """Return the name of the dimension's column in Druid; None if it has none of its own."""
    if "lookup" in dimension or "metrics" in dimension:
        return None
    return str(dimension.get("column", dimension["name"]))


def _within(keys: Keys, found: Iterator[Found]) -> Iterator[Found]:
    return ((keys + rest, message) for rest, message in found)


def _tenant(tenant: _Json) -> Iterator[Found]:
    if "partner_column" in tenant and tenant["partner_column"] == tenant.get("column"):
        yield ("partner_column",), "partner_column must be another column than column"
    if (name := tenant.get("id_format")) is None:
        return
    if tenant.get("type") == "long" and name != INTEGER.name:
        yield ("id_format",), "the ids of a long column are integers: write integer, or leave the key out"
    elif re.fullmatch(r"\w+", name) and name not in NAMES:
        hint = nearest(name, NAMES)
        yield ("id_format",), f"{shown(name)} is neither {' nor '.join(NAMES)} nor a regular expression{hint}"
    else:
        try:
            id_format(name)
        except re.error as error:
            yield ("id_format",), f"{shown(name)} is not a regular expression: {error}"


def _source(dimension: _Json, dimensions: list[_Json]) -> Iterator[Found]:
    """Yield what is wrong with where the values come from: a column, a lookup of another dimension, or metrics."""
    sources = [key for key in ("column", "lookup", "metrics") if key in dimension]
    for other in sources[1:]:
        yield (other,), f"a dimension has either {sources[0]} or {other}, not both"
    if "lookup" not in dimension:
        if "of" in dimension:
            yield ("of",), "of is only used with lookup"
        return
    if (of := dimension.get("of")) is None:
        yield (), "the key 'of' is missing: the dimension with the ids that the lookup names"
        return
    with_column = {each["name"]: each for each in dimensions if "name" in each and column_of(each) is not None}
    if of not in with_column:
        yield ("of",), f"{of!r} is not a dimension with a column{nearest(of, with_column)}"
    elif with_column[of].get("type") == "double":
        yield ("of",), f"{of!r} contains numbers with fractions, which are no ids"
    if "multi_valued" in dimension:
        yield ("multi_valued",), f"a row has as many names as {of} has ids: leave multi_valued out"
    if dimension.get("type", "string") != "string":
        yield ("type",), "the names of a lookup are strings"


def _aggregations(dimension: _Json, *, rolled_up: bool) -> Iterator[Found]:
    type_, aggregations = dimension.get("type", "string"), dimension.get("aggregations", ())
    if "unique_metric" in dimension and "hyperUnique" not in aggregations:
        yield ("unique_metric",), "a unique_metric is only used by hyperUnique: add it to aggregations"
    metrics: _Json | None = dimension.get("metrics")
    for index, aggregation in enumerate(aggregations):
        keys: Keys = ("aggregations", index)
        if metrics is not None:
            if not any(needed <= metrics.keys() for needed in METRICS_OF[aggregation]):
                needs = " or ".join(" and ".join(sorted(needed)) for needed in METRICS_OF[aggregation])
                yield keys, f"{aggregation} needs the metrics {needs}"
        elif aggregation not in (possible := AGGREGATIONS_OF[Kind[type_.upper()]]):
            yield keys, f"{aggregation} cannot be computed from a {type_}; possible: {', '.join(possible)}"
        elif aggregation == "quantile" and rolled_up:
            yield keys, "quantile needs metrics with quantiles: a rolled-up row counts as one, whatever it stands for"
    if metrics is not None and "aggregations" not in dimension:
        yield ("metrics",), "a dimension with metrics can only be aggregated: add aggregations"


_OF_STRINGS = {"multi_valued": "several values", "values": "a list of values", "default_filter": "a default filter"}


def _values(dimension: _Json) -> Iterator[Found]:
    type_ = dimension.get("type", "string")
    for key, what in _OF_STRINGS.items():
        if type_ != "string" and dimension.get(key):
            yield (key,), f"only a string can have {what}, not a {type_}"
    for key in (*_OF_STRINGS, "unique_metric"):
        if "metrics" in dimension and key in dimension:
            yield (key,), f"a dimension with metrics has no values of its own: leave {key} out"
    if allowed := dimension.get("values"):
        for index, value in enumerate(dimension.get("default_filter", ())):
            if value not in allowed:
                yield ("default_filter", index), f"{shown(value)} is not one of the values{nearest(value, allowed)}"


def _of_tenant(dimension: _Json, tenant: _Json) -> Iterator[Found]:
    column = column_of(dimension)
    keys: Keys = ("column" if "column" in dimension else "name",)
    if column is None:
        return
    if column == tenant.get("partner_column"):
        yield keys, f"{column!r} is the tenant's partner_column: callers must not see who else was involved"
    wanted = tenant.get("type", "string")
    if column == tenant.get("column") and (dimension.get("type", "string") != wanted or dimension.get("multi_valued")):
        yield keys, f"{column!r} is the tenant's column: it must be a {wanted} with one value in each row"


def _deprecation(days: _Json) -> Iterator[Found]:
    for key in ("since", "sunset"):
        try:
            date.fromisoformat(days.get(key, "2000-01-01"))
        except ValueError:
            yield (key,), f"there is no day {days[key]}"
    if days.get("sunset", "9999-12-31") < days.get("since", ""):
        yield ("sunset",), "a data set cannot be gone before it is deprecated"


def _taken(dataset: _Json) -> Iterator[Found]:
    """Yield metrics that are columns, too. Several metrics may count the same rows."""
    tenant: _Json = dataset.get("tenant", {})
    dimensions = [(index, each) for index, each in enumerate(dataset.get("dimensions", [])) if "name" in each]
    taken = {tenant[key]: "the tenant" for key in ("column", "partner_column") if key in tenant}
    taken |= {column: f"the dimension {each['name']!r}" for _, each in dimensions if (column := column_of(each))}
    if (metric := dataset.get("rows", {}).get("count_metric")) in taken:
        yield ("rows", "count_metric"), f"{metric!r} is already the column of {taken[metric]}"
    for index, each in dimensions:
        for kind, metric in each.get("metrics", {}).items():
            if metric in taken:
                yield ("dimensions", index, "metrics", kind), f"{metric!r} is already the column of {taken[metric]}"
        if (metric := each.get("unique_metric")) is not None:
            if metric in taken:
                yield ("dimensions", index, "unique_metric"), f"{metric!r} is already the column of {taken[metric]}"
            taken[metric] = f"the unique_metric of {each['name']!r}"
