"""A first data set file for a data source, from what Druid says about it. Pure. Uncertain points are comments."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.catalog.check import SCHEMA
from gateway.catalog.data_source import Column, Schema
from gateway.catalog.id_format import UUID
from gateway.catalog.stored import GRANULARITIES

MOST_VALUES: Final = 20
"""A string with more values gets no list of them."""
_LONGEST_VALUE: Final = 40
_TENANT_WORDS: Final = {"organization": 3, "org": 3, "tenant": 3, "customer": 2, "account": 2, "company": 2, "owner": 2}
_PARTNER_WORDS: Final = frozenset({"involved", "partner", "partners"})
_TYPES: Final = {"STRING": "string", "LONG": "long", "DOUBLE": "double", "FLOAT": "double"}
_METRICS: Final = {
    "COMPLEX<HLLSketch>": "hll",
    "COMPLEX<thetaSketch>": "theta",
    "COMPLEX<hyperUnique>": "hyper_unique",
}
_ENDINGS: Final = re.compile(r"_(sum|total|unique|hll|theta|sketch)$")
_RESERVED: Final[frozenset[str]] = frozenset(SCHEMA["definitions"]["dimension_name"]["not"]["enum"])


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was read about a data source's newest `segments`.

    `values` has the values of each string column in order, null as None, at most MOST_VALUES + 1 of them; `lookups` are
    the names of Druid's lookups.
    """

    data_source: str
    schema: Schema
    segments: int
    values: Mapping[str, Sequence[str | None]]
    lookups: tuple[str, ...] = ()


def draft(name: str, found: Inspection) -> str:
    """Return the text of a file that describes the data set `name`."""
    return "\n".join(_lines(name, found)) + "\n"


def _lines(name: str, found: Inspection) -> Iterator[str]:
    columns = found.schema.columns
    owner, partner = _owner(found), _partner(columns)
    yield "# yaml-language-server: $schema=dataset.schema.json"
    yield f"# Drafted from the newest {found.segments} segments. Check every comment, then remove it."
    yield f"name: {name}"
    yield f"title: {name.replace('_', ' ').capitalize()}"
    yield "description: One row of the data source. # Say what one row is: callers read it."
    yield f"data_source: {json.dumps(found.data_source)}"
    yield "tenant:"
    yield f"  column: {json.dumps(owner)} # Chosen by its name and values. It must have the id of the row's owner."
    if columns[owner].types == {"LONG"}:
        yield "  type: long"
    else:
        yield from _id_format(found.values.get(owner, ()))
    if partner is not None:
        yield f"  partner_column: {json.dumps(partner)} # Chosen by its name: the organizations involved in the row."
    yield "dimensions:"
    yield from _columns(found, {owner, partner})
    yield from _rows(found.schema)
    if found.lookups:
        yield f"# Druid has these lookups: {', '.join(found.lookups)}. A dimension can show the names of ids:"
        yield "# {name: user_name, lookup: user_names, of: user_id, description: The user's name.}"


def _columns(found: Inspection, tenant: set[str | None]) -> Iterator[str]:
    columns = found.schema.columns
    unique = {
        each.removesuffix("_unique"): each
        for each, column in columns.items()
        if column.types == {"COMPLEX<hyperUnique>"} and each.removesuffix("_unique") in columns
    }
    metrics: dict[str, tuple[str, str]] = {}
    for name, column in sorted(columns.items()):
        if name in tenant or name in unique.values():
            continue
        why_not = _why_not(name, column)
        if why_not is not None:
            yield f"  # {name}: {why_not}"
        elif (kind := _metric_of(name, column, found.schema)) is not None:
            base = _ENDINGS.sub("", name)
            metrics[f"{base}_metric" if base in columns or base in metrics else base] = kind, name
        elif _is_metric(name, found.schema):
            yield f"  # {name}: a metric ({', '.join(sorted(found.schema.aggregators[name]))})."
        else:
            yield from _dimension(name, column, found, unique)
    for base, (kind, name) in metrics.items():
        yield from _metric(base, kind, name)


def _why_not(name: str, column: Column) -> str | None:
    """Return why the column cannot be used at all, or None."""
    if name.startswith("_"):
        return "names that begin with an underscore are the gateway's own."
    if len(column.types) > 1 or not column.types <= _TYPES.keys() | _METRICS.keys():
        return f"{column} cannot be a dimension."
    return None


def _is_metric(name: str, schema: Schema) -> bool:
    """Whether the column cannot be a dimension. Without rollup, a metric that is a number can."""
    return name in schema.aggregators and (schema.is_rolled_up or name in _RESERVED)


def _metric_of(name: str, column: Column, schema: Schema) -> str | None:
    """Return the key of `metrics` for a column that is a metric, or None."""
    (type_,) = column.types
    if type_ in _METRICS:
        return _METRICS[type_]
    aggregators = schema.aggregators.get(name, frozenset())
    is_sum = aggregators <= {"longSum", "doubleSum", "floatSum"} and not _counts(name, aggregators)
    return "sum" if is_sum and _is_metric(name, schema) else None


def _dimension(name: str, column: Column, found: Inspection, unique: Mapping[str, str]) -> Iterator[str]:
    (type_,) = column.types
    public = _public(name)
    yield f"  - name: {public}"
    if public != name:
        yield f"    column: {json.dumps(name)}"
    if type_ != "STRING":
        yield f"    type: {_TYPES[type_]}"
    if column.multi_valued:
        yield "    multi_valued: true"
    values = [each for each in found.values.get(name, ()) if each is not None]
    is_id = public.endswith(("_id", "_ids"))
    few = 0 < len(found.values.get(name, ())) <= MOST_VALUES and all(0 < len(each) <= _LONGEST_VALUE for each in values)
    if type_ == "STRING" and values and few and not is_id and all(each.strip() for each in values):
        yield f"    values: {json.dumps(values)} # All that were found. Remove the line if others are possible."
    yield f"    description: The column {public}. # Say what it contains, and when it is null."
    if name in unique or (type_ == "STRING" and is_id):
        yield "    aggregations: [hyperUnique]"
    elif type_ != "STRING":
        yield "    aggregations: [avg, sum]"
    if name in unique:
        yield f"    unique_metric: {json.dumps(unique[name])}"


def _metric(base: str, kind: str, name: str) -> Iterator[str]:
    yield f"  - name: {_public(base)}"
    if kind == "sum":
        yield "    type: double"
    yield f"    description: The metric {name}. # Say what it contains."
    yield f"    aggregations: [{'sum' if kind == 'sum' else 'hyperUnique'}]"
    yield f"    metrics: {{{kind}: {json.dumps(name)}}}"


def _rows(schema: Schema) -> Iterator[str]:
    coarsest = max(schema.granularities & GRANULARITIES.keys(), key=GRANULARITIES.__getitem__, default=None)
    if not schema.is_rolled_up:
        if coarsest is not None:
            yield f"rows: {{granularity: {coarsest}}} # Ingestion has rounded times."
        return
    counts = [name for name, aggregators in schema.aggregators.items() if _counts(name, aggregators)]
    granularity = "" if coarsest is None else f", granularity: {coarsest}"
    if counts:
        yield f"rows: {{count_metric: {json.dumps(counts[0])}{granularity}}} # The data source is rolled up."
    else:
        yield "# The data source is rolled up and no metric counts the original rows: it cannot be served."


def _counts(name: str, aggregators: frozenset[str]) -> bool:
    return aggregators == {"longSum"} and bool(re.search(r"(^|_)(count|rows|events)$|^(n|rows)$", name))


def _owner(found: Inspection) -> str:
    def score(item: tuple[str, Column]) -> tuple[int, int, str]:
        name, column = item
        words = re.split(r"[^a-z]+", name.lower())
        values = [each for each in found.values.get(name, ()) if each is not None]
        usable = column.types in ({"STRING"}, {"LONG"}) and not column.multi_valued and name not in _RESERVED
        points = sum(_TENANT_WORDS.get(word, 0) for word in words) + all(map(_is_uuid, values)) * bool(values)
        return (points if usable else -1, -len(name), name)

    return max(found.schema.columns.items(), key=score)[0]


def _partner(columns: Mapping[str, Column]) -> str | None:
    names = [
        name
        for name, column in columns.items()
        if column.types == {"STRING"} and column.multi_valued and _PARTNER_WORDS & set(name.lower().split("_"))
    ]
    return names[0] if len(names) == 1 else None


def _id_format(values: Iterable[str | None]) -> Iterator[str]:
    known = [each for each in values if each is not None]
    if known and not all(map(_is_uuid, known)):
        if all(re.fullmatch(r"[1-9][0-9]{0,18}", each) for each in known):
            yield "  id_format: integer"
        else:
            yield '  id_format: "[A-Za-z0-9][A-Za-z0-9._~:-]*" # Any id; a narrower expression is better.'


def _is_uuid(text: str) -> bool:
    return UUID.accepts(text)


def _public(name: str) -> str:
    public = re.sub(r"\W", "_", name, flags=re.ASCII)[:64]
    return public if re.match(r"[A-Za-z]", public) and public not in _RESERVED else f"column_{public}"[:64]
