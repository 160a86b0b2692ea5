"""A Kafka supervisor spec: read and compared with the data set that it fills, before Druid sees it. Pure.

Format: Druid's documentation, "Apache Kafka ingestion" and "Automatic compaction".
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.catalog.model import Dataset, TenantColumns
from gateway.ingest.errors import InvalidSpec
from gateway.ingest.schema_check import at, dataset_of, read, schema_problems

_TYPE: Final = "kafka"
# As in the batch specs: a time chunk with fewer rows is one segment.
_ROWS_PER_SEGMENT: Final = 1_000_000
_BOOTSTRAP: Final = "bootstrap.servers"
# ISO 8601 durations that Druid accepts here: years and months have no fixed length.
_DURATION: Final = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?", re.ASCII)
# Druid 33 stores a longer period as a number of seconds that it cannot read again: a restarted overlord would lose the
# stream.
_LONGEST_PERIOD: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A checked spec, created by `parse` only."""

    name: str
    data_source: str
    topic: str
    bootstrap_servers: str
    owner_column: str
    segment_granularity: str
    _json: str

    def submission(self, data_source: str | None = None, bootstrap_servers: str | None = None) -> bytes:
        """Return the supervisor for Druid, with the data source and Kafka's address replaced if given."""
        supervisor = json.loads(self._json)
        if data_source is not None:
            supervisor["spec"]["dataSchema"]["dataSource"] = data_source
        if bootstrap_servers is not None:
            supervisor["spec"]["ioConfig"]["consumerProperties"][_BOOTSTRAP] = bootstrap_servers
        return json.dumps(supervisor).encode()

    def compaction(self, data_source: str | None = None) -> bytes:
        """Return settings of automatic compaction that partition segments by tenant, as a batch ingestion does.

        Without it, each task of the stream leaves segments of its own with the rows of all tenants.
        """
        return json.dumps(
            {
                "dataSource": data_source or self.data_source,
                "granularitySpec": {
                    "segmentGranularity": self.segment_granularity,
                    "queryGranularity": "none",
                    "rollup": False,
                },
                # With concurrent locks, compaction and the stream can write to the same time chunk.
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
                        "targetRowsPerSegment": _ROWS_PER_SEGMENT,
                    },
                },
            }
        ).encode()


def is_stream(text: str) -> bool:
    """Return whether this is a supervisor spec, valid or not."""
    try:
        return bool(at(json.loads(text), "type") == _TYPE)
    except (ValueError, RecursionError):
        return False


def parse(name: str, text: str, datasets: Mapping[str, Dataset]) -> StreamSpec:
    """Read a spec that fills one of the data sets. Raises InvalidSpec with all problems. `name` is for messages."""
    supervisor = read(name, text)
    dataset = dataset_of(name, supervisor, datasets)
    problems = [
        *schema_problems(supervisor, dataset),
        *_reading(supervisor),
        *_event_time(supervisor),
        *_owner(supervisor, dataset.tenant),
        *(() if dataset.count_metric is None else _rollup(supervisor)),
    ]
    if problems:
        raise InvalidSpec(name, problems)
    io_config = supervisor["spec"]["ioConfig"]
    return StreamSpec(
        name=name,
        data_source=dataset.data_source,
        topic=io_config["topic"],
        bootstrap_servers=io_config["consumerProperties"][_BOOTSTRAP],
        owner_column=dataset.tenant.column,
        segment_granularity=at(supervisor, "spec", "dataSchema", "granularitySpec", "segmentGranularity"),
        _json=json.dumps(supervisor),
    )


def _reading(supervisor: Any) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    """Yield what would keep Druid from storing each message of the topic as one row, once."""
    io_config = at(supervisor, "spec", "ioConfig")
    if not isinstance(at(io_config, "topic"), str):
        yield "spec.ioConfig.topic must name the topic"
    if not isinstance(at(io_config, "consumerProperties", _BOOTSTRAP), str):
        yield f"spec.ioConfig.consumerProperties must have {_BOOTSTRAP!r}, such as 'kafka:9092', for Druid"
    if at(io_config, "consumerProperties", "isolation.level") not in (None, "read_committed"):
        yield (
            "spec.ioConfig.consumerProperties: isolation.level must be 'read_committed': otherwise rows of aborted "
            "transactions count"
        )
    if not isinstance(at(io_config, "inputFormat"), dict):
        yield "spec.ioConfig.inputFormat is missing, such as {'type': 'json'}"
    duration = at(io_config, "taskDuration")
    if duration is not None and _seconds(duration) < 60:
        yield (
            f"spec.ioConfig.taskDuration is {duration!r}: Druid rounds it down to whole minutes, and kills every task "
            "if it is shorter than one. Use 'PT1M' or more"
        )
    if not isinstance(at(supervisor, "spec", "dataSchema", "granularitySpec", "segmentGranularity"), str):
        yield "spec.dataSchema.granularitySpec.segmentGranularity must be a word such as 'month'"
    if at(supervisor, "spec", "tuningConfig", "resetOffsetAutomatically") is True:
        yield (
            "spec.tuningConfig.resetOffsetAutomatically must not be true: Druid would silently leave out rows that "
            "Kafka deleted before they were read"
        )
    if at(supervisor, "context", "useConcurrentLocks") is not True:
        yield "context.useConcurrentLocks must be true: otherwise compaction and the stream abort each other"


def owner_conditions(tenant: TenantColumns) -> list[dict[str, Any]]:
    """Return the filters of rows that belong to exactly one organization.

    The first one alone would accept an empty owner. To the second one, an organization in a list is enough.
    """
    return [
        {"type": "expression", "expression": f'array_length("{tenant.column}") == 1'},
        {"type": "regex", "dimension": tenant.column, "pattern": f"^{tenant.id_format.pattern}$"},
    ]


def _owner(supervisor: Any, tenant: TenantColumns) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    """Yield if rows with several owners would be stored: each of the owners would see them."""
    wanted = owner_conditions(tenant)
    match at(supervisor, "spec", "dataSchema", "transformSpec", "filter"):
        case {"type": "and", "fields": [*fields]} if all(each in fields for each in wanted):
            return
    yield (
        "spec.dataSchema.transformSpec.filter must leave out rows without exactly one owner: "
        f"{json.dumps({'type': 'and', 'fields': wanted})}"
    )


def _rollup(supervisor: Any) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    """Yield if a task would merge rows: the gateway could not know whether Druid still has those that it has read."""
    if at(supervisor, "spec", "dataSchema", "granularitySpec", "rollup") is not False:
        yield "spec.dataSchema.granularitySpec.rollup must be false in a stream: roll up batches instead"


def _event_time(supervisor: Any) -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    """Yield where the time of rows has no bounds: one row of the year 9999 would create a segment of that year."""
    for key, which in (("earlyMessageRejectionPeriod", "later"), ("lateMessageRejectionPeriod", "earlier")):
        period = at(supervisor, "spec", "ioConfig", key)
        if not 0 < _seconds(period) <= _LONGEST_PERIOD:
            yield (
                f"spec.ioConfig.{key} is {period!r}: it must bound how much {which} than now a row may be, as an ISO "
                "8601 duration such as 'P1D', at most 'P24855D'"
            )


def _seconds(duration: Any) -> int:  # noqa: ANN401 - JSON of any shape
    """Return the length of an ISO 8601 duration, or 0 if it is not one."""
    found = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if found is None:
        return 0
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds
