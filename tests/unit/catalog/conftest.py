"""A data set file to break."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.catalog.load import CatalogInvalid, load_catalog

VALID = """\
name: orders
title: Orders
description: One row for each order.
data_source: shop-orders
tenant:
  column: customer
  partner_column: suppliers
dimensions:
  - name: country
    column: ship_country
    description: Where the order went.
    values: ["NO", "SE"]
  - name: amount
    type: double
    description: The order's value.
    aggregations: [avg, sum]
  - name: item_ids
    multi_valued: true
    description: What was ordered.
    aggregations: [hyperUnique]
    unique_metric: item_ids_unique
advice:
  - dimension: country
    message: countries are mixed
"""

Problems = Callable[..., list[str]]


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    """Return the problems of the valid file after replacing one text by another, without the folder's name."""

    def find(old: str, new: str) -> list[str]:
        assert VALID.count(old) == 1, old
        file = tmp_path / "orders.yaml"
        file.write_bytes(VALID.replace(old, new).encode(errors="surrogateescape"))
        with pytest.raises(CatalogInvalid) as caught:
            load_catalog([file])
        assert [str(problem) for problem in caught.value.problems] == str(caught.value).split("\n")
        return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]

    return find
