"""Whether the broker's queries read the segments that a task published. Pure."""

from collections.abc import Iterable

from gateway.druid.segments import Segment


def served(published: Iterable[Segment], queried: Iterable[Segment]) -> int:
    """Return how many of the published segments queries read, or have been replaced by newer ones.

    A segment that is queried beside an older one of its time range does not count: the older one is still in use.
    """
    now = set(queried)
    oldest: dict[object, str] = {}
    for segment in now:
        oldest[segment.time_range] = min(segment.version, oldest.get(segment.time_range, segment.version))
    count = 0
    for segment in published:
        version = oldest.get(segment.time_range)
        if version is None:
            count += segment.is_tombstone
        elif version == segment.version:
            count += segment in now
        else:
            count += version > segment.version
    return count
