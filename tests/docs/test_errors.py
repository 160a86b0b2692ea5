"""docs/errors.md lists every error."""

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import GatewayError

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")


def kinds(base: type[GatewayError] = GatewayError) -> Iterator[type[GatewayError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_each_error_is_in_the_table_with_its_status_and_code() -> None:
    listed = set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", PAGE, re.MULTILINE))
    missing = {(str(kind.status), kind.code) for kind in kinds()} - listed
    assert not missing


def test_errors_with_the_same_code_have_the_same_status_and_title() -> None:
    described = {(kind.code, kind.status, kind.title) for kind in kinds()}
    assert len(described) == len({kind.code for kind in kinds()})


def test_each_condition_of_druid_maps_to_an_existing_error() -> None:
    _, _, table = PAGE.partition("## What Druid's conditions become")
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    told = {(kind.status, kind.code) for kind in kinds()}
    assert len(rows) > 10
    for _, status, code in rows:
        assert (int(re.findall(r"\b\d{3}\b", status)[-1]), code.strip(" `")) in told
