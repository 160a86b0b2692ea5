from gateway.query.compile import compile_report
from tests.unit.query.conftest import Planner

DAY = {"start": "2019-01-01", "end": "2019-01-02"}


def test_names_of_the_caller_never_make_two_of_the_gateways_columns_alike(planner: Planner) -> None:
    kinds = [("sum", "order_count"), ("avg", "sales"), ("sum", "sales"), ("avg", "user_message_count")]
    names = ["x", "x_sum", "x_rows", "sum_x", "avg_x", "avg_sum_x", "sum_avg_sum_x", "rows_x"]
    metrics = [
        {"type": kind, "fields": [field], "name": f"{name}{index}"}
        for name in names
        for index, (kind, field) in enumerate(kinds)
    ] + [{"type": kind, "fields": [field], "name": name} for name, (kind, field) in zip(names, kinds * 2, strict=True)]
    native = compile_report(planner({"interval": DAY, "aggregations": metrics})).native
    aggregators = len([each for each in metrics if each["type"] == "sum"]) + 2 * len(
        [each for each in metrics if each["type"] == "avg"]
    )
    assert len(native["aggregations"]) == aggregators
    columns = [each.get("name") or each["aggregator"]["name"] for each in native["aggregations"]]
    columns += [each["name"] for each in native["postAggregations"]]
    assert len(set(columns)) == len(columns)
