"""Segments as the coordinator describes them, as far as the gateway looks."""

from typing import Any

DAY_ONE = "1970-01-01T00:00:00.000Z/1970-01-02T00:00:00.000Z"
DAY_TWO = "1970-01-02T00:00:00.000Z/1970-01-03T00:00:00.000Z"


def segment(
    interval: str = DAY_ONE, *, overshadowed: bool = False, replicas: int | None = 2, **shard_spec: Any
) -> dict[str, Any]:
    """One of a version of its own; unless told otherwise, the only one of its time."""
    return {
        "interval": interval,
        "version": "1",
        "overshadowed": overshadowed,
        "replicationFactor": replicas,
        "shardSpec": {"type": "range", "partitionNum": 0, **shard_spec},
    }


def numbered(partition: int, core: int = 0, **given: Any) -> dict[str, Any]:
    """One that was appended, or belongs to the so many that were written together."""
    return segment(**{"type": "numbered", "partitionNum": partition, "partitions": core, **given})
