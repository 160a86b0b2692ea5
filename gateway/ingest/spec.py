"""A native batch spec: read, and held against the data set that it is to fill, before Druid sees it. Pure.

Druid takes what it is given: a spec that forgets a column or a metric, or that appends instead of replacing, is taken
and makes wrong answers. Format: Druid's documentation, "JSON-based batch ingestion".
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.catalog import DATASETS
from gateway.catalog.model import Dataset, Kind
from gateway.ingest.errors import InvalidSpec

_TYPES = {Kind.STRING: "string", Kind.LONG: "long", Kind.DOUBLE: "double"}


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """A checked spec, made by `parse` only.

    `intervals` (ISO 8601, `start/end`) are what it replaces. `passes`: how often Druid reads the whole input.
    """

    name: str
    data_source: str
    intervals: tuple[str, ...]
    passes: int
    _json: str

    def submission(self, task_id: str, data_source: str | None = None, uris: Sequence[str] = ()) -> bytes:
        """The task for Druid: under this id, into another data source if one is named, from `uris` if there are any."""
        task = json.loads(self._json)
        task["id"] = task_id
        if data_source is not None:
            task["spec"]["dataSchema"]["dataSource"] = data_source
        if uris:
            task["spec"]["ioConfig"]["inputSource"] = {"type": "http", "uris": list(uris)}
        return json.dumps(task).encode()

    def sampler(self, rows: int, lines: Sequence[str] = ()) -> bytes:
        """A question for Druid: what would its parser make of these lines, or of the input source's first rows?"""
        spec = json.loads(self._json)["spec"]
        io_config = spec["ioConfig"]
        source = {"type": "inline", "data": "\n".join(lines)} if lines else io_config["inputSource"]
        sampled = {
            "type": "index",
            "dataSchema": spec["dataSchema"],
            "ioConfig": {"type": "index", "inputSource": source, "inputFormat": io_config["inputFormat"]},
        }
        return json.dumps({"type": "index", "spec": sampled, "samplerConfig": {"numRows": rows}}).encode()


def parse(name: str, text: str, *, brings_files: bool = False) -> BatchSpec:
    """Raises InvalidSpec with every problem. `name` is for messages; with `brings_files` no input source is needed."""
    try:
        task = json.loads(text)
    except ValueError as error:
        raise InvalidSpec(name, [f"it is not JSON: {error}"]) from error
    if _at(task, "type") != "index_parallel":
        raise InvalidSpec(name, [f"type is {_at(task, 'type')!r}: a batch spec has type 'index_parallel'"])
    data_source = _at(task, "spec", "dataSchema", "dataSource")
    dataset = next((d for d in DATASETS.values() if d.data_source == data_source), None)
    if dataset is None:
        known = ", ".join(d.data_source for d in DATASETS.values())
        problem = (
            f"spec.dataSchema.dataSource is {data_source!r}, which the gateway's catalog lacks (it has {known}); "
            "to fill a copy under another name, keep the name in the spec and give --data-source"
        )
        raise InvalidSpec(name, [problem])
    problems = [*_columns(task, dataset), *_metrics(task, dataset), *_replacement(task)]
    if not brings_files and not _at(task, "spec", "ioConfig", "inputSource"):
        problems.append("spec.ioConfig.inputSource is missing: give the rows with --data FILE, or name an input source")
    if problems:
        raise InvalidSpec(name, problems)
    return BatchSpec(
        name=name,
        data_source=dataset.data_source,
        intervals=tuple(_at(task, "spec", "dataSchema", "granularitySpec", "intervals")),
        passes=_passes(_at(task, "spec", "tuningConfig", "partitionsSpec")),
        _json=json.dumps(task),
    )


def _columns(task: Any, dataset: Dataset) -> Iterator[str]:  # noqa: ANN401 JSON of any shape
    where = "spec.dataSchema.dimensionsSpec.dimensions"
    columns = _by_name(_at(task, "spec", "dataSchema", "dimensionsSpec", "dimensions"))
    wanted = {dimension.name: dimension for dimension in dataset.dimensions}
    involved = dataset.involved_column
    for name in (*wanted, *(name for name in (dataset.owner_column, involved) if name not in wanted)):
        dimension = wanted.get(name)
        type_ = _TYPES[dimension.kind if dimension else Kind.STRING]
        column = columns.get(name)
        if column is None:
            yield f"{where} lacks {name} ({type_}){_nearest(name, columns)}"
            continue
        if column.get("type", "string") != type_:
            yield f"{where}: {name} is {column.get('type', 'string')!r}; the catalog has it as {type_!r}"
        elif (name == involved or (dimension and dimension.multi_valued)) and (
            column.get("multiValueHandling") != "SORTED_SET"
        ):
            yield (
                f"{where}: {name} holds several values and needs multiValueHandling 'SORTED_SET': "
                "a value that a row has twice would be counted twice"
            )


def _metrics(task: Any, dataset: Dataset) -> Iterator[str]:  # noqa: ANN401
    where = "spec.dataSchema.metricsSpec"
    metrics = _by_name(_at(task, "spec", "dataSchema", "metricsSpec"))
    for dimension in dataset.dimensions:
        if (name := dimension.unique_metric) is None:
            continue
        metric = metrics.get(name)
        if metric is None:
            yield f"{where} lacks {name} (hyperUnique of {dimension.name}){_nearest(name, metrics)}"
        elif (metric.get("type"), metric.get("fieldName")) != ("hyperUnique", dimension.name):
            yield (
                f"{where}: {name} is {metric.get('type')!r} of {metric.get('fieldName')!r}; "
                f"the catalog has it as 'hyperUnique' of {dimension.name!r}"
            )


def _replacement(task: Any) -> Iterator[str]:  # noqa: ANN401
    """What makes each input row one row of the data source, and a second run replace the first."""
    granularity = "spec.dataSchema.granularitySpec"
    if _at(task, *granularity.split("."), "rollup") is not False:
        yield f"{granularity}.rollup must be false: rows that are merged are counted once"
    if str(_at(task, *granularity.split("."), "queryGranularity")).lower() != "none":
        yield f"{granularity}.queryGranularity must be 'none': reports go down to the millisecond"
    intervals = _at(task, *granularity.split("."), "intervals")
    if not isinstance(intervals, list) or not intervals or not all(isinstance(i, str) for i in intervals):
        yield f"{granularity}.intervals must name what is replaced, such as ['2019-01-01/2019-02-01']"
    if _at(task, "spec", "ioConfig", "appendToExisting") is True:
        yield "spec.ioConfig.appendToExisting must be false: ingesting again would count every row twice"
    if _at(task, "spec", "ioConfig", "dropExisting") is not True:
        yield "spec.ioConfig.dropExisting must be true: rows of an earlier run would stay where this one has none"


def _passes(partitions: Any) -> int:  # noqa: ANN401
    """Druid reads everything once to find where to cut by range or how many hash buckets to make, and again to cut."""
    match partitions:
        case {"type": "range" | "single_dim"}:
            return 2
        case {"type": "hashed"} if partitions.get("numShards") is None:
            return 2
        case _:
            return 1


def _at(value: Any, *path: str) -> Any:  # noqa: ANN401
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _by_name(entries: Any) -> dict[str, Mapping[str, Any]]:  # noqa: ANN401
    """Druid lets a dimension be its name alone, which means a string."""
    if not isinstance(entries, list):
        return {}
    named = ({"name": entry} if isinstance(entry, str) else entry for entry in entries)
    return {str(entry.get("name")): entry for entry in named if isinstance(entry, Mapping)}


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.8)
    return f"; it has {close[0]!r}" if close else ""
