from typing import Any

import pytest

from gateway.errors import InvalidReport, Problem
from gateway.query.parse import parse
from gateway.query.schema import ReportSchema
from gateway.query.validation_errors import MAX_PROBLEMS

DAY = {"start": "2019-01-01", "end": "2019-01-02"}
COUNT = [{"type": "count"}]


def problems(body: object, schema: ReportSchema) -> list[tuple[str, str]]:
    with pytest.raises(InvalidReport) as caught:
        parse(body, schema)
    assert caught.value.detail == f"The report has {_number(caught.value.problems)}. Fix the fields listed in errors."
    return [(problem.pointer, problem.message) for problem in caught.value.problems]


def _number(found: tuple[Problem, ...]) -> str:
    return f"{len(found)} problem{'s' if len(found) != 1 else ''}"


def report(**keys: Any) -> dict[str, Any]:
    return {"interval": DAY, "aggregations": COUNT, **keys}


@pytest.mark.parametrize("part", ["filters", "aggregations", "having", "order_by", "interval"])
@pytest.mark.parametrize("wrong", [5, None, "x", [5], [None], {"a": 1}, [{}], [{"type": "sum"}], [{"filter": 5}]])
def test_a_full_list_of_problems_hides_no_invalid_part(part: str, wrong: object, schema: ReportSchema) -> None:
    body = report(group_by=["x"] * 60) | {part: wrong}
    assert len(problems(body, schema)) == MAX_PROBLEMS


def test_an_invalid_column_name_is_explained(schema: ReportSchema) -> None:
    assert problems(report(aggregations=[{"type": "count", "name": "1st"}]), schema) == [
        (
            "/aggregations/0/name",
            'must be a letter followed by letters, digits or underscores, at most 64 in all, not "1st"',
        )
    ]


@pytest.mark.parametrize("wrong", [None, [], {}, 5, True])
def test_a_timestamp_or_zone_of_another_type_is_explained(wrong: object, schema: ReportSchema) -> None:
    found = problems(report(interval={"start": wrong, "end": wrong, "time_zone": wrong}), schema)
    assert [place for place, _ in found] == ["/interval/start", "/interval/end", "/interval/time_zone"]
    assert all(message.startswith("must be a string, not ") for _, message in found)


@pytest.mark.parametrize("zero", [-0.0, "-0.0", "-0", "-0.00", 0.0, 0])
def test_zero_has_no_sign(zero: float | str, schema: ReportSchema) -> None:
    """For Druid, 0.0 is greater than -0.0."""
    found = parse(report(filters={"type": "bound", "dimension": "sales", "upper": zero}), schema).to_json()
    assert str(found["filters"]["upper"]) == "0"
