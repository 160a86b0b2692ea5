"""Whether a data set's rows, whose times were rounded at ingestion, are precise enough for a report."""

from gateway.catalog.model import TIME_PARTS
from gateway.catalog.stored import Rows
from gateway.errors import InvalidReport, Problem
from gateway.query.buckets import HOUR, Buckets
from gateway.query.report import Report
from gateway.query.time import Interval
from gateway.query.zones import spans


def check_precision(report: Report, rows: Rows, interval: Interval, compared: Interval | None) -> None:
    """Raise InvalidReport if an interval, or a part of local time, divides a time that the data source can have."""
    for where, each in (("/interval", interval), ("/compare/to", compared)):
        if each is not None and (each.start % rows.step or each.end % rows.step):
            raise _imprecise(
                where, f"must start and end at a whole {rows.granularity} in UTC, the precision of the data's times"
            )
    for name in sorted(report.dimension_names() & TIME_PARTS.keys()):
        offsets = {
            span.offset for each in (interval, compared) if each for span in spans(each.zone, each.start, each.end)
        }
        if any(offset % rows.step for offset in offsets) or (name == "hour_of_day" and HOUR % rows.step):
            raise _imprecise("", f"{name} cannot be computed: the data's times are whole {rows.granularity}s in UTC")


def check_buckets(rows: Rows, *sides: Buckets | None) -> None:
    """Raise InvalidReport if rows of one time of the data source belong to two buckets."""
    if any(start % rows.step for each in sides if each for start in each.starts):
        raise _imprecise(
            "/granularity", f"must consist of whole {rows.granularity}s in UTC, the precision of the data's times"
        )


def _imprecise(pointer: str, message: str) -> InvalidReport:
    return InvalidReport("The data is less precise than the report.", problems=[Problem(pointer, message)])
