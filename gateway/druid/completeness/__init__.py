"""Completeness: whether Druid's response includes all the data that exists.

Druid silently omits, with status 200, every segment that no server serves at the moment, and every row that a streaming
task has lost before it was published. `check.py` has the link; `off.py` its null variant.
"""

from typing import Literal, Protocol

from gateway.druid.chain import Link, RoutedRequest
from gateway.druid.intervals import TimeRange


class Completeness(Link[RoutedRequest], Protocol):
    """The link that returns complete responses only, or does not care."""

    @property
    def state(self) -> Literal["on", "off"]:
        """Whether completeness is checked."""

    def unknown(self) -> tuple[str, ...]:
        """Return the data sources whose data is not known well enough to answer queries on them."""

    def knows_any(self) -> bool:
        """Whether queries on at least one data source can be answered."""

    def unpublished(self, data_source: str) -> tuple[TimeRange, ...]:
        """Return the time of rows that streams have read and not published, as far as it is known."""
