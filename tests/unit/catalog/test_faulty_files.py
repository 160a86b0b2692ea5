"""Each fault of a data set file is reported with its line and column, and with the remedy."""

import pytest

from tests.unit.catalog.conftest import VALID, Problems

FAULTS: dict[str, tuple[str, str, str]] = {
    # What is wrong: (text, what replaces it, the problem)
    "a misspelt key": (
        "    values:",
        "    value:",
        "12:5: unknown key 'value' (did you mean 'values'?); allowed: name, column, lookup, of, type, ",
    ),
    "a key at the wrong level": (
        "tenant:\n  column",
        "tenant_column: x\ntenant:\n  column",
        "5:1: unknown key 'tenant_column' (did you mean 'tenant'?); allowed: name, title, description, data_source, ",
    ),
    "a key that is not supported": ("advice:", "measures: x\nadvice:", "22:1: unknown key 'measures'; allowed: name, "),
    "a missing key": ("title: Orders\n", "", "1:1: the key 'title' is missing"),
    "a missing key of a dimension": (
        "    description: What was ordered.\n",
        "",
        "17:5: the key 'description' is missing",
    ),
    "no tenant column": ("  column: customer\n", "", "6:3: the key 'column' is missing"),
    "a duplicate key": ("title: Orders", "title: Orders\ntitle: O", "3:1: the key 'title' is already in line 2"),
    "a number where a text belongs": (
        "title: Orders",
        "title: 2024",
        "2:8: title: must be a text, not a number: write it in quotes",
    ),
    "a date where a text belongs": ("title: Orders", "title: 2024-01-01", "2:8: write '2024-01-01' in quotes"),
    "a number in a list of values": (
        '"SE"]',
        "46]",
        "12:20: must be a text, not a number: write it in quotes",
    ),
    "a null where a text belongs": ("title: Orders", "title:", "2:1: title: must be a text, not nothing"),
    "a text where a boolean belongs": (
        "multi_valued: true",
        "multi_valued: yes",
        "18:19: multi_valued: must be true or false, not 'yes'",
    ),
    "a text where a list belongs": (
        "[avg, sum]",
        "sum",
        "16:19: aggregations: must be a list, not 'sum'",
    ),
    "a list where a mapping belongs": (
        "tenant:\n  column: customer\n  partner_column: suppliers",
        "tenant: [customer]",
        "5:9: tenant: must be a mapping (key: value), not a list",
    ),
    "an empty text": ("title: Orders", 'title: " "', "2:8: title: ' ' must be a text that is not empty"),
    "an empty list": ('["NO", "SE"]', "[]", "12:13: values: must have at least 1 element"),
    "a value listed twice": ('"SE"]', '"NO"]', "12:13: values: lists a value twice"),
    "a type of another system": (
        "type: double",
        "type: doubles",
        "14:11: type: 'doubles' is not allowed (did you mean 'double'?); one of: string, long, double",
    ),
    "an aggregation that does not exist": (
        "[avg, sum]",
        "[average]",
        "16:20: 'average' is not allowed (did you mean 'avg'?); one of: avg, sum, min, max, quantile, hyperUnique",
    ),
    "an aggregation that the type does not allow": (
        "[avg, sum]",
        "[avg, hyperUnique]",
        "16:25: hyperUnique cannot be computed from a double; possible: avg, sum",
    ),
    "a sum of strings": (
        "[hyperUnique]",
        "[hyperUnique, sum]",
        "20:33: sum cannot be computed from a string; possible: hyperUnique",
    ),
    "a day that does not exist": (
        "advice:",
        'deprecated: {since: "2026-02-30"}\nadvice:',
        "22:21: there is no day 2026-02-30",
    ),
    "an end before the beginning": (
        "advice:",
        'deprecated: {since: "2026-02-02", sunset: "2026-02-01"}\nadvice:',
        "22:43: a data set cannot be gone before it is deprecated",
    ),
    "a link that is no URL": (
        "advice:",
        'deprecated: {since: "2026-02-02", link: "https://a>; rel=next"}\nadvice:',
        "22:41: link: 'https://a>; rel=next' must be the URL of a page, such as https://docs.example/new",
    ),
    "a name that is reserved": (
        "name: item_ids",
        "name: start_time",
        "17:11: name: 'start_time' is reserved for the gateway: choose another name",
    ),
    "a name that cannot be a column of the response": (
        "name: item_ids",
        "name: item-ids",
        "17:11: name: 'item-ids' must be a letter, then letters, digits or underscores, at most 64 characters",
    ),
    "a name that cannot stand in a URL": (
        "name: orders",
        "name: or/ders",
        "1:7: name: 'or/ders' must be a letter, then letters, digits or underscores, at most 64 characters",
    ),
    "a data source with a slash": (
        "data_source: shop-orders",
        "data_source: shop/orders",
        "4:14: data_source: 'shop/orders' must be the name of a data source in Druid",
    ),
    "Druid's own time column": (
        "column: ship_country",
        "column: __time",
        "10:13: column: '__time' must be the name of a column in Druid that does not begin with an underscore",
    ),
    "two dimensions with one name": (
        "name: item_ids",
        "name: amount",
        "17:11: there are two dimensions named 'amount'",
    ),
    "a misspelt form of ids": (
        "  column: customer\n",
        "  column: customer\n  id_format: integr\n",
        "7:14: 'integr' is neither uuid nor integer nor a regular expression (did you mean 'integer'?)",
    ),
    "a form of ids that is no regular expression": (
        "  column: customer\n",
        "  column: customer\n  id_format: '[a-z'\n",
        "7:14: '[a-z' is not a regular expression: unterminated character set at position",
    ),
    "long tenants with UUIDs": (
        "  column: customer\n",
        "  column: customer\n  type: long\n  id_format: uuid\n",
        "8:14: the ids of a long column are integers: write integer, or leave the key out",
    ),
    "a tenant of a type without ids": (
        "  column: customer\n",
        "  column: customer\n  type: double\n",
        "7:9: type: 'double' is not allowed; one of: string, long",
    ),
    "a dimension of another type than the tenant's column": (
        "name: item_ids",
        "name: owner\n    column: customer\n    type: long\n    description: x\n  - name: item_ids",
        "18:13: 'customer' is the tenant's column: it must be a string with one value in each row",
    ),
    "rows of which nothing is said": (
        "dimensions:\n",
        "rows: {}\ndimensions:\n",
        "8:7: rows: needs one of: count_metric, granularity",
    ),
    "a granularity of another system": (
        "dimensions:\n",
        "rows: {count_metric: n, granularity: hours}\ndimensions:\n",
        "8:38: granularity: 'hours' is not allowed (did you mean 'hour'?)",
    ),
    "a count of rows that is a column": (
        "dimensions:\n",
        "rows: {count_metric: customer}\ndimensions:\n",
        "8:22: 'customer' is already the column of the tenant",
    ),
    "a lookup without ids": (
        "advice:",
        "  - {name: x, lookup: names, description: x}\nadvice:",
        "22:5: the key 'of' is missing: the dimension with the ids that the lookup names",
    ),
    "a lookup of a misspelt dimension": (
        "advice:",
        "  - {name: x, lookup: names, of: item_id, description: x}\nadvice:",
        "22:34: 'item_id' is not a dimension with a column (did you mean 'item_ids'?)",
    ),
    "a lookup of prices": (
        "advice:",
        "  - {name: x, lookup: names, of: amount, description: x}\nadvice:",
        "22:34: 'amount' contains numbers with fractions, which are no ids",
    ),
    "a lookup and a column": (
        "advice:",
        "  - {name: x, column: y, lookup: names, of: item_ids, description: x}\nadvice:",
        "22:34: a dimension has either column or lookup, not both",
    ),
    "ids without a lookup": (
        "advice:",
        "  - {name: x, of: item_ids, description: x}\nadvice:",
        "22:19: of is only used with lookup",
    ),
    "a misspelt metric": (
        "[avg, sum]",
        "[avg, sum]\n    metrics: {sum: s, counts: c}",
        "17:23: unknown key 'counts' (did you mean 'count'?)",
    ),
    "an average without a count": (
        "[avg, sum]",
        "[avg, sum]\n    metrics: {sum: s}",
        "16:20: avg needs the metrics count and sum",
    ),
    "metrics that are columns": (
        "[avg, sum]",
        "[sum]\n    metrics: {sum: ship_country}",
        "17:20: 'ship_country' is already the column of the dimension 'country'",
    ),
    "unique values without a sketch": (
        VALID[VALID.index("    multi_valued") : VALID.index("advice:")],
        "    description: What was ordered.\n    aggregations: [hyperUnique]\n    metrics: {sum: s}\n",
        "19:20: hyperUnique needs the metrics hll or theta or hyper_unique",
    ),
    "a default filter with another value": (
        '"SE"]',
        '"SE"]\n    default_filter: [NO, N0]',
        "13:26: 'N0' is not one of the values",
    ),
    "several numbers in a row": (
        "type: double",
        "type: double\n    multi_valued: true",
        "15:19: only a string can have several values, not a double",
    ),
    "a list of numbers": (
        "type: double",
        'type: double\n    values: ["1"]',
        "15:13: only a string can have a list of values, not a double",
    ),
    "a metric that nothing uses": (
        "    aggregations: [hyperUnique]\n",
        "",
        "20:20: a unique_metric is only used by hyperUnique: add it to aggregations",
    ),
    "a metric that is a column": (
        "item_ids_unique",
        "ship_country",
        "21:20: 'ship_country' is already the column of the dimension 'country'",
    ),
    "a metric that is the tenant's column": (
        "item_ids_unique",
        "customer",
        "21:20: 'customer' is already the column of the tenant",
    ),
    "partners in the owner's column": (
        "partner_column: suppliers",
        "partner_column: customer",
        "7:19: partner_column must be another column than column",
    ),
    "a public partner column": (
        "column: ship_country",
        "column: suppliers",
        "10:13: 'suppliers' is the tenant's partner_column: callers must not see who else was involved",
    ),
    "a public partner column by its own name": (
        "name: item_ids",
        "name: suppliers",
        "17:11: 'suppliers' is the tenant's partner_column: callers must not see who else was involved",
    ),
    "several owners of a row": (
        "name: item_ids",
        "name: customer",
        "17:11: 'customer' is the tenant's column: it must be a string with one value in each row",
    ),
    "advice about a dimension that does not exist": (
        "dimension: country",
        "dimension: ship_country",
        "23:16: 'ship_country' is not a dimension of this data set (did you mean 'country'?)",
    ),
    "an alias": (
        "title: Orders",
        "title: &a Orders\nx: *a",
        "3:4: aliases (*a) are not allowed: repeat the value",
    ),
    "a tag": ("title: Orders", "title: !secret Orders", "2:8: the tag '!secret' is not allowed"),
    "a tag that would run code": (
        "title: Orders",
        "title: !!python/name:os.system id",
        "2:8: the tag 'tag:yaml.org,2002:python/name:os.system' is not allowed",
    ),
    "a list as a key": ("title: Orders", "title: Orders\n? [a]\n: b", "3:3: a key must be a word"),
    "a bracket that is never closed": (
        '["NO", "SE"]',
        '["NO", "SE"',
        "13:3: is not valid YAML: while parsing a flow sequence: expected ',' or ']', but got '-'",
    ),
    "a tab": ("    values", "\tvalues", "12:1: is not valid YAML: while scanning for the next token: found character"),
    "a control character": ("Orders", "Or\x07ders", "2:10: is not valid YAML: the character U+0007 is not allowed"),
    "half a character": ("title: Orders", 'title: "\\ud800"', "2:8: contains an escape that is not a character"),
    "an escape that does not exist": (
        "title: Orders",
        'title: "\\UFFFFFFFF"',
        "1:1: is not valid YAML: it contains an",
    ),
    "two data sets in one file": ("advice:", "---\nadvice:", "22:1: is not valid YAML: expected a single document"),
    "another YAML version": ("name: orders", "%YAML 9.9\n---\nname: orders", "1:1: is not valid YAML: found incompat"),
    "bytes that are not UTF-8": ("title: Orders", "title: \udcff", " is not UTF-8: byte 21 is wrong"),
}


@pytest.mark.parametrize(("old", "new", "problem"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_reported_where_it_stands(problems: Problems, old: str, new: str, problem: str) -> None:
    found = problems(old, new)
    assert len(found) == 1, found
    assert found[0].removeprefix("orders.yaml:").startswith(problem), found[0]
