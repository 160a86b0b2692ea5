"""A Kafka supervisor spec: read, and held against the data set that it is to fill, before Druid sees it. Pure.

Format: Druid's documentation, "Apache Kafka ingestion" and "Automatic compaction".
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.catalog.model import Dataset
from gateway.ingest.data_schema import at, dataset_of, read, schema_problems
from gateway.ingest.errors import InvalidSpec

TYPE = "kafka"
# As in the batch specs: fewer rows of a time chunk than this are one segment.
ROWS_PER_SEGMENT = 1_000_000
BOOTSTRAP = "bootstrap.servers"
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?")


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A checked spec, made by `parse` only."""

    name: str
    data_source: str
    topic: str
    bootstrap_servers: str
    owner_column: str
    segment_granularity: str
    _json: str

    def submission(self, data_source: str | None = None, bootstrap_servers: str | None = None) -> bytes:
        """The supervisor for Druid: into another data source, or from another Kafka, if one is named."""
        supervisor = json.loads(self._json)
        if data_source is not None:
            supervisor["spec"]["dataSchema"]["dataSource"] = data_source
        if bootstrap_servers is not None:
            supervisor["spec"]["ioConfig"]["consumerProperties"][BOOTSTRAP] = bootstrap_servers
        return json.dumps(supervisor).encode()

    def compaction(self, data_source: str | None = None) -> bytes:
        """Automatic compaction into segments that are cut by tenant, as a batch ingestion makes them.

        Without it every task of the stream leaves segments of its own, which hold all tenants.
        """
        return json.dumps(
            {
                "dataSource": data_source or self.data_source,
                "granularitySpec": {
                    "segmentGranularity": self.segment_granularity,
                    "queryGranularity": "none",
                    "rollup": False,
                },
                # Also what the stream is writing to now: its task does not hold it up, nor it the task.
                "skipOffsetFromLatest": "PT0S",
                "taskContext": {"useConcurrentLocks": True},
                "tuningConfig": {
                    "type": "index_parallel",
                    "forceGuaranteedRollup": True,
                    "maxNumConcurrentSubTasks": 1,
                    "totalNumMergeTasks": 1,
                    "partitionsSpec": {
                        "type": "range",
                        "partitionDimensions": [self.owner_column],
                        "targetRowsPerSegment": ROWS_PER_SEGMENT,
                    },
                },
            }
        ).encode()


def is_stream(text: str) -> bool:
    """Whether it is a spec for `parse`, right or wrong."""
    try:
        return bool(at(json.loads(text), "type") == TYPE)
    except ValueError:
        return False


def parse(name: str, text: str, datasets: Mapping[str, Dataset]) -> StreamSpec:
    """Read a spec that fills one of the data sets; raises InvalidSpec with every problem. `name` is for messages."""
    supervisor = read(name, text)
    dataset = dataset_of(name, supervisor, datasets)
    problems = [*schema_problems(supervisor, dataset), *_reading(supervisor)]
    if problems:
        raise InvalidSpec(name, problems)
    io_config = supervisor["spec"]["ioConfig"]
    return StreamSpec(
        name=name,
        data_source=dataset.data_source,
        topic=io_config["topic"],
        bootstrap_servers=io_config["consumerProperties"][BOOTSTRAP],
        owner_column=dataset.tenant.column,
        segment_granularity=at(supervisor, "spec", "dataSchema", "granularitySpec", "segmentGranularity"),
        _json=json.dumps(supervisor),
    )


def _reading(supervisor: Any) -> Iterator[str]:  # noqa: ANN401 JSON of any shape
    """What makes each message of the topic one row, once."""
    io_config = at(supervisor, "spec", "ioConfig")
    if not isinstance(at(io_config, "topic"), str):
        yield "spec.ioConfig.topic must name the topic that is read"
    if not isinstance(at(io_config, "consumerProperties", BOOTSTRAP), str):
        yield f"spec.ioConfig.consumerProperties must have {BOOTSTRAP!r}: where Druid finds Kafka, such as 'kafka:9092'"
    if at(io_config, "consumerProperties", "isolation.level") not in (None, "read_committed"):
        yield "spec.ioConfig.consumerProperties: isolation.level must be 'read_committed', or taken-back rows count"
    if not isinstance(at(io_config, "inputFormat"), dict):
        yield "spec.ioConfig.inputFormat is missing, such as {'type': 'json'}"
    duration = at(io_config, "taskDuration")
    if duration is not None and _seconds(duration) < 60:
        yield (
            f"spec.ioConfig.taskDuration is {duration!r}: Druid counts it in whole minutes and kills every task of a "
            "shorter one. Give 'PT1M' or more"
        )
    if not isinstance(at(supervisor, "spec", "dataSchema", "granularitySpec", "segmentGranularity"), str):
        yield "spec.dataSchema.granularitySpec.segmentGranularity must be a word such as 'month'"
    if at(supervisor, "spec", "tuningConfig", "resetOffsetAutomatically") is True:
        yield (
            "spec.tuningConfig.resetOffsetAutomatically must not be true: rows that Kafka has dropped before they were "
            "read would be left out without a word"
        )
    if at(supervisor, "context", "useConcurrentLocks") is not True:
        yield "context.useConcurrentLocks must be true: compaction and the stream would otherwise end one another"


def _seconds(duration: Any) -> int:  # noqa: ANN401
    """Of an ISO 8601 duration; 0 for what is none."""
    found = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if found is None:
        return 0
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
