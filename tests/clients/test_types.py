"""The client's types: they agree with the gateway's schema, and a type checker applies them to a user's program."""

import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, is_typeddict

import pytest

from gateway.client import aggregations, filters, reports
from gateway.query.limits import Limits
from gateway.query.schema import compile_schema
from gateway.web.published_schema import published
from tests.conftest import ROOT
from tests.datasets import CHAT_SESSIONS

SCHEMA = published(compile_schema(CHAT_SESSIONS, Limits()).document)


def kinds(union: Any) -> Iterator[tuple[str, Any]]:
    """Yield each value of `type` with the type that has it."""
    for kind in get_args(union) or (union,):
        for value in get_args(typing.get_type_hints(kind)["type"]):
            yield value, kind


def properties_of(schema: Any) -> set[str]:
    """Return the names of an object's members, in any of the cases that the schema distinguishes."""
    if "$ref" in schema:
        return properties_of(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    return set(schema.get("properties", ())).union(*(properties_of(each) for each in schema.get("oneOf", ())))


def required_by(schema: Any) -> set[str]:
    if "$ref" in schema:
        return required_by(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    cases = [required_by(each) for each in schema.get("oneOf", ())]
    return set(schema.get("required", ())) | (set.intersection(*cases) if cases else set())


@pytest.mark.parametrize(
    ("name", "union"),
    [
        ("filter", filters.Filter),
        ("aggregation", aggregations.Aggregation),
        ("post_aggregation", aggregations.PostAggregation),
    ],
)
def test_every_alternative_has_the_members_of_the_schema(name: str, union: Any) -> None:
    found = dict(kinds(union))
    assert found.keys() == SCHEMA["$defs"][name]["discriminator"]["mapping"].keys()
    for value, kind in found.items():
        schema = SCHEMA["$defs"][f"{name}_{value}"]
        assert set(kind.__annotations__) == properties_of(schema), value
        assert kind.__required_keys__ == required_by(schema), value


def test_a_report_has_the_members_of_the_schema() -> None:
    assert reports.Report.__required_keys__ == set(SCHEMA["required"])
    hints = typing.get_type_hints(reports.Report)
    assert set(hints) == SCHEMA["properties"].keys()
    assert set(get_args(hints["granularity"])) == set(SCHEMA["properties"]["granularity"]["enum"])
    intervals = SCHEMA["properties"]["interval"]["oneOf"]
    assert {frozenset(typing.get_type_hints(each)) for each in get_args(reports.Interval)} == {
        frozenset(each["properties"]) for each in intervals
    }
    for name in ("compare", "top"):
        assert set(typing.get_type_hints(hints[name])) == SCHEMA["properties"][name]["properties"].keys()
        assert hints[name].__required_keys__ == set(SCHEMA["properties"][name]["required"])
    for name in ("having", "order_by"):
        [kind] = get_args(hints[name])
        assert set(typing.get_type_hints(kind)) == SCHEMA["properties"][name]["items"]["properties"].keys()
        assert kind.__required_keys__ == set(SCHEMA["properties"][name]["items"]["required"])


def test_every_listed_value_is_one_of_the_schema() -> None:
    allowed = set(_listed(SCHEMA))
    for module in (filters, aggregations, reports):
        for kind in vars(module).values():
            if is_typeddict(kind):
                for hint in typing.get_type_hints(kind).values():
                    values = {each for part in (hint, *get_args(hint)) for each in _literals(part)}
                    assert values <= allowed, (kind, values - allowed)


def _literals(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) is Literal else ()


def _listed(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict):
        yield from schema.get("enum", ())
        if "const" in schema:
            yield schema["const"]
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _listed(each)


PROGRAM = """
from gateway.client import Client, Filter, Report

report: Report = {
    "interval": {"last": "P7D", "time_zone": "Europe/Helsinki"},
    "granularity": "day",
    "group_by": ["chat_type"],
    "aggregations": [{"type": "count"}, {"type": "quantile", "fraction": 0.5, "fields": ["sales"]}],
    "filters": [{"type": "selector", "dimension": "scope", "value": "org"}],
    "top": {"groups": 5, "by": "count"},
}
org: Filter = {"type": "not", "field": {"type": "in", "dimension": "scope", "values": ["team", "user"]}}
report["filters"] = org
with Client("https://gateway.example", "token") as client:
    data_set = client.data_set("b0a1d32b-e82c-11e4-b081-6c4008adf7e8", "chat_sessions")
    answer = data_set.answer(report)
    names: list[str] = [field.name for field in answer.fields]
    frame = data_set.table({"interval": {"current": "month"}, "aggregations": [{"type": "count"}]}).to_pandas()
"""
MISTAKES = {
    '"granularity"': '"granularty"',  # codespell:ignore granularty
    '"day"': '"daily"',
    '"fraction": 0.5, ': "",
    '"group_by": ["chat_type"]': '"group_by": "chat_type"',
    '"type": "in"': '"type": "among"',
    '"last"': '"latest"',
    "field.name": "field.title",
    '"current": "month"': '"current": "decade"',
}


def test_a_type_checker_accepts_a_program_and_finds_its_mistakes(tmp_path: Path) -> None:
    assert all(PROGRAM.count(right) == 1 for right in MISTAKES)
    (tmp_path / "right.py").write_text(PROGRAM)
    for number, (right, wrong) in enumerate(MISTAKES.items()):
        (tmp_path / f"wrong_{number}.py").write_text(PROGRAM.replace(right, wrong))
    (tmp_path / "mypy.ini").write_text(
        f"[mypy]\nstrict = True\nmypy_path = {ROOT}\n[mypy-gateway.*]\nfollow_imports = silent\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "."], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600
    )
    faulty = {line.partition(":")[0] for line in done.stdout.splitlines() if ": error: " in line}
    assert faulty == {f"wrong_{number}.py" for number in range(len(MISTAKES))}, done.stdout


def test_the_client_uses_nothing_of_the_server() -> None:
    program = """
import sys
before = set(sys.modules)
import gateway.client
loaded = {name.split(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
print(*sorted(loaded), *sorted(name for name in sys.modules if name.startswith("gateway.") and "client" not in name))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(done.stdout.split())
    assert {"aiohttp", "gateway", "urllib3"} <= loaded
    assert not loaded & {"pandas", "polars", "pyarrow", "pydruid", "sqlalchemy", "structlog", "orjson", "pydantic"}
    assert not [name for name in loaded if name.startswith("gateway.")]
