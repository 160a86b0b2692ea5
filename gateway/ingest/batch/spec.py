"""A native batch spec: read, and held against the data set that it is to fill, before Druid sees it. Pure.

Druid takes what it is given: a spec that forgets a column or a metric, or that appends instead of replacing, is taken
and makes wrong answers. Format: Druid's documentation, "JSON-based batch ingestion".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.catalog.model import Dataset
from gateway.ingest.data_schema import GRANULARITY, at, dataset_of, read, schema_problems
from gateway.ingest.errors import InvalidSpec


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


def parse(name: str, text: str, datasets: Mapping[str, Dataset], *, brings_files: bool = False) -> BatchSpec:
    """Read a spec that fills one of the data sets; raises InvalidSpec with every problem.

    `name` is for messages; with `brings_files` no input source is needed.
    """
    task = read(name, text)
    if at(task, "type") != "index_parallel":
        raise InvalidSpec(name, [f"type is {at(task, 'type')!r}: a batch spec has type 'index_parallel'"])
    dataset = dataset_of(name, task, datasets)
    problems = [*schema_problems(task, dataset), *_replacement(task)]
    if not brings_files and not at(task, "spec", "ioConfig", "inputSource"):
        problems.append("spec.ioConfig.inputSource is missing: give the rows with --data FILE, or name an input source")
    if problems:
        raise InvalidSpec(name, problems)
    return BatchSpec(
        name=name,
        data_source=dataset.data_source,
        intervals=tuple(at(task, "spec", "dataSchema", "granularitySpec", "intervals")),
        passes=_passes(at(task, "spec", "tuningConfig", "partitionsSpec")),
        _json=json.dumps(task),
    )


def _replacement(task: Any) -> Iterator[str]:  # noqa: ANN401 JSON of any shape
    """What makes a second run replace the first."""
    intervals = at(task, *GRANULARITY.split("."), "intervals")
    if not isinstance(intervals, list) or not intervals or not all(isinstance(i, str) for i in intervals):
        yield f"{GRANULARITY}.intervals must name what is replaced, such as ['2019-01-01/2019-02-01']"
    if at(task, "spec", "ioConfig", "appendToExisting") is True:
        yield "spec.ioConfig.appendToExisting must be false: ingesting again would count every row twice"
    if at(task, "spec", "ioConfig", "dropExisting") is not True:
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
