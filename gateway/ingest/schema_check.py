"""What batch and stream specs have in common: a data set of the catalog, its columns and its metrics. Pure."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from gateway.catalog.model import Dataset, Kind
from gateway.ingest.errors import InvalidSpec

_TYPES: Final = {Kind.STRING: "string", Kind.LONG: "long", Kind.DOUBLE: "double"}
_METRIC_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "sum": ("doubleSum", "longSum", "floatSum"),
    "count": ("count", "longSum"),
    "min": ("doubleMin", "longMin", "floatMin"),
    "max": ("doubleMax", "longMax", "floatMax"),
    "quantiles": ("quantilesDoublesSketch",),
    "hll": ("HLLSketchBuild", "HLLSketchMerge"),
    "theta": ("thetaSketch",),
    "hyper_unique": ("hyperUnique",),
}
GRANULARITY: Final = "spec.dataSchema.granularitySpec"


def read(name: str, text: str) -> Any:  # noqa: ANN401 - JSON of any shape
    """Raises InvalidSpec if it is not JSON."""
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidSpec(name, [f"{where}: not JSON: {error.msg[:1].lower()}{error.msg[1:]}"]) from error
    except RecursionError:
        raise InvalidSpec(name, ["it is nested too deeply"]) from None
    except ValueError as error:
        raise InvalidSpec(name, [str(error)]) from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")
    return found


def dataset_of(name: str, task: Any, datasets: Mapping[str, Dataset]) -> Dataset:  # noqa: ANN401 - JSON of any shape
    """Return the catalog's data set that the spec fills. Raises InvalidSpec."""
    data_source = at(task, "spec", "dataSchema", "dataSource")
    dataset = next((d for d in datasets.values() if d.data_source == data_source), None)
    if dataset is None:
        known = ", ".join(d.data_source for d in datasets.values())
        problem = (
            f"spec.dataSchema.dataSource is {data_source!r}, which is not in the gateway's catalog ({known}): give its "
            "data set file with --catalog or GATEWAY_CATALOG; or, to fill a copy under another name, keep the name in "
            "the spec and add --data-source"
        )
        raise InvalidSpec(name, [problem])
    return dataset


def schema_problems(task: Any, dataset: Dataset) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    """Yield what would make the spec's rows differ from those of the data set."""
    yield from _columns(task, dataset)
    yield from _metrics(task, dataset)
    yield from _granularity(at(task, *GRANULARITY.split(".")), dataset)


def _granularity(spec: Any, dataset: Dataset) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    if dataset.count_metric is None and at(spec, "rollup") is not False:
        yield f"{GRANULARITY}.rollup must be false: Druid would merge rows, which the data set's file does not declare"
    wanted = (dataset.rows and dataset.rows.granularity) or "none"
    if str(at(spec, "queryGranularity")).lower() != wanted:
        yield f"{GRANULARITY}.queryGranularity must be {wanted!r}: reports have the precision that the file declares"


def _columns(task: Any, dataset: Dataset) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    where = "spec.dataSchema.dimensionsSpec.dimensions"
    columns = by_name(at(task, "spec", "dataSchema", "dimensionsSpec", "dimensions"))
    wanted = {dimension.column: dimension for dimension in dataset.dimensions if dimension.has_own_column}
    tenant = dataset.tenant
    involved = tenant.partner_column
    for name in dict.fromkeys((*wanted, tenant.column, *(() if involved is None else (involved,)))):
        dimension = wanted.get(name)
        type_ = _TYPES[tenant.kind if name == tenant.column else dimension.kind if dimension else Kind.STRING]
        column = columns.get(name)
        if column is None:
            yield f"{where} lacks {name} ({type_}){_nearest(name, columns)}"
            continue
        if column.get("type", "string") != type_:
            yield f"{where}: {name} is {column.get('type', 'string')!r}; its type in the catalog is {type_!r}"
        elif (name == involved or (dimension and dimension.multi_valued)) and (
            column.get("multiValueHandling") != "SORTED_SET"
        ):
            yield (
                f"{where}: {name} has several values and needs multiValueHandling 'SORTED_SET': "
                "otherwise a value that a row contains twice is counted twice"
            )


def _metrics(task: Any, dataset: Dataset) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    where = "spec.dataSchema.metricsSpec"
    metrics = metrics_of(task)
    wanted = [] if dataset.count_metric is None else [("count", dataset.count_metric)]
    wanted += [pair for each in dataset.dimensions if each.metrics for pair in each.metrics.names().items()]
    for kind, name in wanted:
        if name not in metrics:
            yield f"{where} lacks {name} ({' or '.join(_METRIC_TYPES[kind])}){_nearest(name, metrics)}"
        elif metrics[name].get("type") not in _METRIC_TYPES[kind]:
            found = metrics[name].get("type")
            yield f"{where}: {name} is {found!r}; in the catalog it is {' or '.join(_METRIC_TYPES[kind])}"
    for dimension in dataset.dimensions:
        if (unique := dimension.unique_metric) is None:
            continue
        metric = metrics.get(unique)
        if metric is None:
            yield f"{where} lacks {unique} (hyperUnique of {dimension.column}){_nearest(unique, metrics)}"
        elif (metric.get("type"), metric.get("fieldName")) != ("hyperUnique", dimension.column):
            yield (
                f"{where}: {unique} is {metric.get('type')!r} of {metric.get('fieldName')!r}; "
                f"in the catalog it is 'hyperUnique' of {dimension.column!r}"
            )


def metrics_of(task: Any) -> dict[str, Mapping[str, Any]]:  # noqa: ANN401 - JSON of any shape
    """Return a spec's metrics by name. One that has a filter is what it filters."""
    found = at(task, "spec", "dataSchema", "metricsSpec")
    plain = [
        {"name": at(each, "name"), **each["aggregator"]} if isinstance(at(each, "aggregator"), Mapping) else each
        for each in (found if isinstance(found, list) else ())
    ]
    return by_name(plain)


def at(value: Any, *path: str) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return the value at a path of keys, or None."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def by_name(entries: Any) -> dict[str, Mapping[str, Any]]:  # noqa: ANN401 - JSON of any shape
    """Return a spec's dimensions or metrics by name. In Druid, a dimension given as a name only is a string."""
    if not isinstance(entries, list):
        return {}
    named = ({"name": entry} if isinstance(entry, str) else entry for entry in entries)
    return {str(entry.get("name")): entry for entry in named if isinstance(entry, Mapping)}


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.8)
    return f"; it has {close[0]!r}" if close else ""
