"""A native batch spec: read and compared with the data set that it fills, before Druid sees it. Pure.

Druid does not know the data set: it accepts a spec that lacks a column or a metric, or that appends instead of
replacing, and later reports are wrong. Format: Druid's documentation, "JSON-based batch ingestion".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.catalog.model import Dataset
from gateway.druid.intervals import TimeRange
from gateway.ingest.batch.rows import RowSchema, column_types
from gateway.ingest.batch.timestamps import PARSERS
from gateway.ingest.errors import InvalidSpec
from gateway.ingest.schema_check import GRANULARITY, at, by_name, dataset_of, metrics_of, read, schema_problems


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """A checked spec, created by `parse` only.

    The task replaces `intervals`. Druid reads the whole input `passes` times. `rows` is the
    schema of the rows in --data files; None if the spec names an input source that Druid reads itself.
    """

    name: str
    data_source: str
    intervals: tuple[TimeRange, ...]
    passes: int
    rows: RowSchema | None
    _json: str

    def submission(self, task_id: str, data_source: str | None = None, uris: Sequence[str] = ()) -> bytes:
        """Return the task for Druid, with this id, and with the data source and the input `uris` replaced if given."""
        task = json.loads(self._json)
        task["id"] = task_id
        if data_source is not None:
            task["spec"]["dataSchema"]["dataSource"] = data_source
        if uris:
            task["spec"]["ioConfig"]["inputSource"] = {"type": "http", "uris": list(uris)}
        return json.dumps(task).encode()

    def sampler(self, rows: int) -> bytes:
        """Return a sampler spec, with which Druid reads the first rows of the input source without storing them."""
        spec = json.loads(self._json)["spec"]
        io_config = spec["ioConfig"]
        sampled = {
            "type": "index",
            "dataSchema": spec["dataSchema"],
            "ioConfig": {
                "type": "index",
                "inputSource": io_config["inputSource"],
                "inputFormat": io_config["inputFormat"],
            },
        }
        return json.dumps({"type": "index", "spec": sampled, "samplerConfig": {"numRows": rows}}).encode()


def parse(name: str, text: str, datasets: Mapping[str, Dataset], *, brings_files: bool = False) -> BatchSpec:
    """Read a spec that fills one of the data sets. Raises InvalidSpec with all problems.

    `name` is for messages. `brings_files` means that the rows come from --data files.
    """
    task = read(name, text)
    if at(task, "type") != "index_parallel":
        raise InvalidSpec(name, [f"type is {at(task, 'type')!r}: a batch spec has type 'index_parallel'"])
    dataset = dataset_of(name, task, datasets)
    problems = [*schema_problems(task, dataset), *_replacement(task)]
    if brings_files:
        problems += _reading(task)
    elif not at(task, "spec", "ioConfig", "inputSource"):
        problems.append("spec.ioConfig.inputSource is missing: add --data FILE, or name an input source")
    if problems:
        raise InvalidSpec(name, problems)
    return BatchSpec(
        name=name,
        data_source=dataset.data_source,
        intervals=_intervals(task),
        passes=_passes(at(task, "spec", "tuningConfig", "partitionsSpec")),
        rows=_row_schema(task, dataset) if brings_files else None,
        _json=json.dumps(task),
    )


def _replacement(task: Any) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    """Yield what would keep a second run from replacing the first."""
    intervals = at(task, *GRANULARITY.split("."), "intervals")
    if not isinstance(intervals, list) or not intervals:
        yield f"{GRANULARITY}.intervals must name what is replaced, such as ['2019-01-01/2019-02-01']"
    else:
        for each in intervals:
            if not _is_interval(each):
                yield f"{GRANULARITY}.intervals: {each!r} must be start/end, such as '2019-01-01/2019-02-01'"
    if at(task, "spec", "ioConfig", "appendToExisting") is True:
        yield "spec.ioConfig.appendToExisting must be false: a second run would count every row twice"
    if at(task, "spec", "ioConfig", "dropExisting") is not True:
        yield "spec.ioConfig.dropExisting must be true: rows of an earlier run would remain where this one has none"


def _reading(task: Any) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    """Yield what would make Druid read other rows from the files than the gateway's check does."""
    input_format = at(task, "spec", "ioConfig", "inputFormat")
    if at(input_format, "type") != "json":
        yield f"spec.ioConfig.inputFormat.type is {at(input_format, 'type')!r}: --data files are read as 'json'"
    for key in ("flattenSpec", "featureSpec"):
        if at(input_format, key):
            yield f"spec.ioConfig.inputFormat.{key} must be left out: --data rows are checked as they are"
    if at(task, "spec", "dataSchema", "transformSpec"):
        yield "spec.dataSchema.transformSpec must be left out: --data rows are checked as they are"
    format_ = _timestamp_format(task)
    if format_ not in PARSERS:
        yield f"spec.dataSchema.timestampSpec.format is {format_!r}: --data rows can have {', '.join(PARSERS)}"


def _row_schema(task: Any, dataset: Dataset) -> RowSchema:  # noqa: ANN401 - a valid task
    schema = task["spec"]["dataSchema"]
    single = {each.column for each in dataset.dimensions if each.has_own_column and not each.multi_valued}
    types = {
        name: column_types(
            column.get("type", "string"),
            several=column.get("multiValueHandling") == "SORTED_SET" and name not in single,
        )
        for name, column in by_name(schema["dimensionsSpec"]["dimensions"]).items()
    }
    # The operator names the fields that Druid is to ignore, and metrics may read fields of their own.
    others = [*(at(schema, "dimensionsSpec", "dimensionExclusions") or ())]
    others += [metric["fieldName"] for metric in metrics_of(task).values() if metric.get("fieldName")]
    format_ = _timestamp_format(task)
    return RowSchema(
        timestamp=at(schema, "timestampSpec", "column") or "timestamp",
        timestamp_format=format_,
        parse_timestamp=PARSERS[format_],
        tenant=dataset.tenant,
        types=dict.fromkeys(others) | types,
        intervals=_intervals(task),
    )


def _intervals(task: Any) -> tuple[TimeRange, ...]:  # noqa: ANN401 - a valid task
    return tuple(TimeRange.parse(each) for each in at(task, *GRANULARITY.split("."), "intervals"))


def _timestamp_format(task: Any) -> str:  # noqa: ANN401 - JSON of any shape
    return str(at(task, "spec", "dataSchema", "timestampSpec", "format") or "auto")


def _is_interval(text: object) -> bool:
    try:
        start, end = TimeRange.parse(str(text))
    except ValueError:
        return False
    return start < end


def _passes(partitions: Any) -> int:  # noqa: ANN401 - JSON of any shape
    """Return how often Druid reads the input: twice if it must first determine ranges or the number of hash buckets."""
    match partitions:
        case {"type": "range" | "single_dim"}:
            return 2
        case {"type": "hashed"} if partitions.get("numShards") is None:
            return 2
        case _:
            return 1
