"""The last look before a query leaves, and the first when its rows come back.

Written apart from the compiler and from pydruid, so that a fault in either cannot open what this keeps closed. Whatever
is not known to be harmless is refused.
"""

from collections.abc import Sequence
from typing import Any

from gateway.catalog.model import Dataset
from gateway.query.compile import DruidQuery
from gateway.query.literals import Json
from gateway.tenancy.tenant import Tenant


class TenancyViolated(Exception):
    """A query, or an answer, that could hold rows of another organization. Nothing of it may go on."""


_KNOWN_KEYS = frozenset(
    {
        "queryType", "dataSource", "intervals", "granularity", "filter", "dimensions", "virtualColumns",
        "aggregations", "postAggregations", "having", "limitSpec", "context",
    }
)  # fmt: skip


def check_query(query: DruidQuery) -> None:
    """Raise TenancyViolated unless the outermost filter of the query is an `and` that begins with the tenant's."""
    native = query.native
    if native.get("queryType") not in ("timeseries", "groupBy"):
        raise TenancyViolated("the query is neither a timeseries nor a groupBy")
    if native.get("dataSource") != query.dataset.data_source:
        raise TenancyViolated("the query does not read the data set's own data source")
    if not native.keys() <= _KNOWN_KEYS:
        raise TenancyViolated(f"the query has keys that nobody vouches for: {sorted(native.keys() - _KNOWN_KEYS)}")
    required = required_filters(query.tenant, query.dataset)
    outermost = native.get("filter")
    if not isinstance(outermost, dict) or outermost.keys() != {"type", "fields"} or outermost["type"] != "and":
        raise TenancyViolated("the outermost filter is not an and")
    if not isinstance(outermost["fields"], list) or outermost["fields"][: len(required)] != required:
        raise TenancyViolated("the outermost and does not begin with the tenant's filters")
    for column in native.get("virtualColumns", ()):
        # Named like a real column it would stand in for it, in the tenant's filter too.
        if not str(column.get("name", "")).startswith("_start_time"):
            raise TenancyViolated("a virtual column has a name that could hide a real one")


def required_filters(tenant: Tenant, dataset: Dataset) -> list[Json]:
    """Return the native filters that every row of the tenant matches."""
    values = {dataset.tenant.column: tenant.owner_organization_id}
    if tenant.involved_organization_id is not None:
        if dataset.tenant.partner_column is None:
            raise TenancyViolated("the data set has no column for partners")
        values[dataset.tenant.partner_column] = tenant.involved_organization_id
    if not all(values.values()):
        raise TenancyViolated("the tenant names no organization")
    return [{"type": "selector", "dimension": column, "value": value} for column, value in values.items()]


def check_rows(query: DruidQuery, rows: Sequence[Any]) -> None:
    """Raise TenancyViolated where a row names another owner than the tenant; rows are a groupBy's arrays."""
    # A caller may well call a metric like the owner's column: only dimensions hold owners. They come first in a row.
    columns = [dimension["dimension"] for dimension in query.native.get("dimensions", ())]
    owner = query.tenant.owner_organization_id
    for position in (index for index, column in enumerate(columns) if column == query.dataset.tenant.column):
        if not all(isinstance(row, list) and row[position : position + 1] == [owner] for row in rows):
            raise TenancyViolated("a row of another organization, or of none that can be told, came back")
