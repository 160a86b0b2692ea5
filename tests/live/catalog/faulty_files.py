"""Data set files with one fault each, and the data sources that they are compared with."""

from typing import Final

from tests.live.catalog.druid_rows import SEVERAL
from tests.serving import D, P

VALID: Final = """\
name: {name}
title: Orders
description: One row for each order.
data_source: {data_source}
tenant:
  column: customer
  partner_column: suppliers
dimensions:
  - name: country
    column: ship_country
    description: Where the order went.
  - name: amount
    type: double
    description: The order's value.
    aggregations: [avg, sum]
  - name: pages
    type: long
    description: The number of pages.
    aggregations: [sum]
  - name: item_ids
    multi_valued: true
    description: What was ordered.
    aggregations: [hyperUnique]
    unique_metric: item_ids_unique
"""

ROW: Final = {
    "__time": "2024-01-01T08:00:00Z",
    "customer": D,
    "suppliers": [D, P],
    "ship_country": "NO",
    "amount": 20.0,
    "price": "20.0",
    "pages": 3,
    "item_ids": ["a", "b"],
    "owners": D,
    "maybe": D,
    "number": 7,
}
OTHER: Final = ROW | {"__time": "2024-01-02T08:00:00Z", "owners": [D, P], "maybe": None, "amount": 7.5}
COLUMNS: Final = [
    "customer",
    {"name": "suppliers", **SEVERAL},
    "ship_country",
    {"name": "amount", "type": "double"},
    "price",
    {"name": "pages", "type": "long"},
    {"name": "item_ids", **SEVERAL},
    {"name": "owners", **SEVERAL},
    "maybe",
    {"name": "number", "type": "long"},
]
METRICS: Final = [
    {"type": "hyperUnique", "name": "item_ids_unique", "fieldName": "item_ids"},
    {"type": "hyperUnique", "name": "country_unique", "fieldName": "ship_country"},
    {"type": "thetaSketch", "name": "items_theta", "fieldName": "item_ids"},
]
HOURLY: Final = [
    *METRICS,
    {"type": "count", "name": "orders"},
    {"type": "doubleSum", "name": "amount_sum", "fieldName": "amount"},
]
TIP: Final = """\
  - name: tip
    type: double
    description: The tip.
    aggregations: [sum]
    metrics: {sum: amounts_sum}
rows: {count_metric: orders, granularity: hour}
"""
COUNT: Final = {"interval": {"start": "2024-01-01", "end": "2024-02-01"}, "aggregations": [{"type": "count"}]}

FAULTS: Final[dict[str, tuple[str, str, str, str]]] = {
    # What is wrong: (text of the file, what replaces it, the kind of the fault, a part of the message).
    "a misspelt data source": (
        "data_source: {data_source}",
        "data_source: {data_source}x",
        "data_source_unknown",
        "(did you mean '{data_source}'?). Correct data_source",
    ),
    "a misspelt column": (
        "ship_country",
        "ship_countri",
        "column_missing",
        "dimension 'country': column: the data source has no column 'ship_countri' (did you mean 'ship_country'?)",
    ),
    "a column that does not exist": (
        "column: ship_country",
        "column: region",
        "column_missing",
        "the data source has no column 'region'; it has amount, country_unique, customer,",
    ),
    "a string that is a number": (
        "column: ship_country",
        "column: pages",
        "column_type",
        "the column 'pages' is LONG in Druid, not string: write `type: long`",
    ),
    "a number that is a string": (
        "name: amount",
        "name: price",
        "column_type",
        "the column 'price' is STRING in Druid, not double: write `type: string`",
    ),
    "a long with decimal places": (
        "name: pages",
        "name: pages\n    column: amount",
        "column_type",
        "the column 'amount' is DOUBLE in Druid, not long: write `type: double`",
    ),
    "a sketch as a dimension": (
        "column: ship_country",
        "column: items_theta",
        "column_type",
        "the column 'items_theta' is COMPLEX<thetaSketch> in Druid, not string: it can be a metric",
    ),
    "a single value that is a list": (
        "    multi_valued: true\n",
        "",
        "several_values",
        "rows have several values in the column 'item_ids': add `multi_valued: true`",
    ),
    "a misspelt tenant column": (
        "column: customer",
        "column: custommer",
        "column_missing",
        "tenant: column: the data source has no column 'custommer' (did you mean 'customer'?)",
    ),
    "a tenant column with several values": (
        "column: customer",
        "column: owners",
        "tenant_several_values",
        "tenant: 1 row has several values in the column 'owners', so that several organizations would see it: name",
    ),
    "a tenant column with nulls": (
        "column: customer",
        "column: maybe",
        "tenant_null",
        "tenant: 1 row has no value in the column 'maybe', so that no organization would see it: name the right column",
    ),
    "a tenant column without ids": (
        "column: customer",
        "column: ship_country",
        "tenant_ids",
        "tenant: no value of the column 'ship_country' is an id of the form uuid, so that no organization would see a",
    ),
    "a tenant column of numbers": (
        "column: customer",
        "column: number",
        "column_type",
        "tenant: the column 'number' is LONG in Druid, not string: correct type (string or long)",
    ),
    "a misspelt partner column": (
        "partner_column: suppliers",
        "partner_column: supplier",
        "column_missing",
        "tenant: partner_column: the data source has no column 'supplier' (did you mean 'suppliers'?)",
    ),
    "a partner column of numbers": (
        "partner_column: suppliers",
        "partner_column: number",
        "column_type",
        "tenant: the partner_column 'number' is LONG in Druid and must be STRING",
    ),
    "a misspelt metric": (
        "item_ids_unique",
        "item_id_unique",
        "metric_missing",
        "unique_metric: the data source has no metric 'item_id_unique' (did you mean 'item_ids_unique'?)",
    ),
    "a metric of another kind": (
        "item_ids_unique",
        "items_theta",
        "metric_type",
        "unique_metric: 'items_theta' is COMPLEX<thetaSketch> (thetaSketch) in Druid; of this type are country_unique,",
    ),
}
OTHER_SOURCES: Final[dict[str, tuple[str, str, str, str]]] = {
    # Faults of other data sources: (the data source, what follows the valid text, the kind of the fault, the message).
    "rollup": ("rolled_up", "", "rollup", "is rolled up, so that a count would be the number of Druid's rows and not"),
    "a misspelt count": (
        "rolled_up",
        "rows: {count_metric: order, granularity: hour}",
        "metric_missing",
        "(did you mean 'orders'?)",
    ),
    "a count of another kind": (
        "rolled_up",
        "rows: {count_metric: amount_sum, granularity: hour}",
        "metric_type",
        "rows: count_metric: 'amount_sum' is DOUBLE (doubleSum) in Druid; of this type are orders",
    ),
    "a misspelt metric of values": (
        "rolled_up",
        TIP,
        "metric_missing",
        "dimension 'tip': metrics.sum: the data source has no metric 'amounts_sum' (did you mean 'amount_sum'?)",
    ),
    "a metric of values of another kind": (
        "rolled_up",
        TIP.replace("sum: amounts_sum", "sum: items_theta"),
        "metric_type",
        "dimension 'tip': metrics.sum: 'items_theta' is COMPLEX<thetaSketch> (thetaSketch) in Druid; of this type are",
    ),
    "times by the hour": (
        "rolled_up",
        "rows: {count_metric: orders}",
        "granularity",
        "rows: ingestion rounded times to hour: set granularity",
    ),
    "a misspelt lookup": (
        "good",
        "  - {name: country_name, lookup: no_such_lookup_of_countries, of: country, description: The name.}",
        "lookup_missing",
        "dimension 'country_name': Druid has no lookup 'no_such_lookup_of_countries'",
    ),
    "another type in some segments": (
        "mixed",
        "",
        "column_type",
        "the column 'amount' is DOUBLE and STRING in Druid, not double alone: ingest",
    ),
    "a segment without owners": (
        "partly_owned",
        "",
        "tenant_null",
        "tenant: 1 row has no value in the column 'customer'",
    ),
}
