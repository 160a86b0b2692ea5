"""How large a report may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a report. Settings provide them (GATEWAY_MAX_…), and every error about one states it."""

    rows: int = 100_000
    buckets: int = 45_000
    interval_days: int = 3_660
    filter_depth: int = 12
    filters: int = 200
    filter_values: int = 2_000
    aggregations: int = 50
