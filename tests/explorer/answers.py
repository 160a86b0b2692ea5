"""Results as the page gets them, for tests without a browser."""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def result(report: Json, rows: Sequence[Sequence[Any]], *, metrics: Sequence[str] = ("count",), **members: Any) -> Json:
    """The result of a report whose answer has these rows and members; its metrics are the given columns."""
    whole = {"granularity": "all", "group_by": [], "aggregations": [{"type": "count"}], "filters": [], **report}
    dimensions = ["start_time", *whole["group_by"]]
    fields = [{"name": name, "type": "dimension"} for name in dimensions]
    fields += [{"name": name, "type": "metric"} for name in metrics]
    answer = {"fields": fields, "data": rows, **members}
    return {"answer": answer, "report": whole, "requestId": None, "milliseconds": 1, "bytes": 1}
