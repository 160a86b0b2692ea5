"""The guard: the last check before a query is sent, and the first check of the rows that come back.

Written independently of the compiler and of pydruid, so that a fault in either cannot let a caller see another
organization's rows. What is not known to be safe is rejected.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, NoReturn, final

import orjson
import structlog

from gateway.catalog.model import Dataset, Kind
from gateway.druid.api.broker import Broker
from gateway.druid.chain import DruidResponse, Known, Link, RoutedRequest
from gateway.druid.memory_budget import MemoryLease
from gateway.druid.slots import Slot
from gateway.errors import InternalError
from gateway.query.compile import DruidQuery
from gateway.query.literals import Json
from gateway.tenancy.tenant import Tenant

_log = structlog.get_logger(__name__)


class TenancyViolated(Exception):
    """A query or a response that could contain rows of another organization."""


@final
class _Seal:
    """Only this module holds it: without it no GuardedQuery can be created, and mypy reports a missing argument."""

    __slots__ = ()


_SEAL: Final = _Seal()


@final
@dataclass(frozen=True, slots=True, init=False)
class GuardedQuery:
    """A query that was checked, as the bytes that are sent. Only TenantGuard creates one; nothing can change it."""

    body: bytes
    headers: Mapping[str, str]
    broker: Broker
    query_id: str
    deadline: float
    known: Known | None
    lease: MemoryLease
    slot: Slot

    def __init__(self, request: RoutedRequest, *, seal: _Seal) -> None:
        if seal is not _SEAL:
            raise TypeError("a GuardedQuery is created by the guard only")
        native = request.query.native
        trace_parent = native["context"].get("traceparent")
        headers = {} if trace_parent is None else {"traceparent": trace_parent}
        if request.known is not None:
            headers["If-None-Match"] = request.known.version
        for name, value in (
            ("body", orjson.dumps(native)),
            ("headers", MappingProxyType(headers)),
            ("broker", request.broker),
            ("query_id", request.query_id),
            ("deadline", request.deadline),
            ("known", request.known),
            ("lease", request.lease),
            ("slot", request.slot),
        ):
            object.__setattr__(self, name, value)

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("GuardedQuery has no subclasses")

    def __reduce_ex__(self, _protocol: object, /) -> NoReturn:
        raise TypeError("a GuardedQuery is neither copied nor pickled")


class TenantGuard:
    """Checks the final native query, and lets only the bytes of what it has checked be sent."""

    def __init__(self, next_link: Link[GuardedQuery]) -> None:
        self._next = next_link

    async def run(self, request: RoutedRequest) -> DruidResponse:
        """Raises InternalError for a query or a response that could contain another organization's rows."""
        try:
            check_query(request.query)
            response = await self._next.run(GuardedQuery(request, seal=_SEAL))
            check_rows(request.query, response.rows)
        except TenancyViolated as error:
            _log.critical("tenancy_violated", reason=str(error), druid_query_id=request.query_id)
            raise InternalError("The report was stopped.") from error
        return response


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
        raise TenancyViolated(f"the query has unknown keys: {sorted(native.keys() - _KNOWN_KEYS)}")
    required = required_filters(query.tenant, query.dataset)
    outermost = native.get("filter")
    if not isinstance(outermost, dict) or outermost.keys() != {"type", "fields"} or outermost["type"] != "and":
        raise TenancyViolated("the outermost filter is not an and")
    if not isinstance(outermost["fields"], list) or outermost["fields"][: len(required)] != required:
        raise TenancyViolated("the outermost and does not begin with the tenant's filters")
    for column in native.get("virtualColumns", ()):
        # A virtual column hides a real column of the same name, also from the tenant's filter. No column of a data set
        # begins with an underscore.
        name = str(column.get("name", ""))
        if not name.startswith("_") or name.startswith("__") or name in query.dataset.tenant.names:
            raise TenancyViolated("a virtual column has a name that could hide a real column")


def required_filters(tenant: Tenant, dataset: Dataset) -> list[Json]:
    """Return the native filters that every row of the tenant matches."""
    values = {dataset.tenant.column: tenant.owner_organization_id}
    if tenant.involved_organization_id is not None:
        if dataset.tenant.partner_column is None:
            raise TenancyViolated("the data set has no column for partners")
        values[dataset.tenant.partner_column] = tenant.involved_organization_id
    if not all(values.values()):
        raise TenancyViolated("the tenant names no organization")
    # Druid reads 007, +7 and 7.0 as the number 7, so a filter on a number must have the form of the organization's id.
    if not all(dataset.tenant.id_format.accepts(value) for value in values.values()):
        raise TenancyViolated("an organization's id does not have the data set's form")
    return [{"type": "selector", "dimension": column, "value": value} for column, value in values.items()]


def check_rows(query: DruidQuery, rows: Sequence[Any]) -> None:
    """Raise TenancyViolated if a row names another owner than the tenant; rows are a groupBy's arrays."""
    # A caller may give a metric the name of the owner's column: only dimensions hold owners. They come first in a row.
    columns = [dimension["dimension"] for dimension in query.native.get("dimensions", ())]
    text = query.tenant.owner_organization_id
    owner = int(text) if query.dataset.tenant.kind is Kind.LONG else text
    for position in (index for index, column in enumerate(columns) if column == query.dataset.tenant.column):
        try:
            found = list(map(itemgetter(position), rows))
        except (IndexError, KeyError, TypeError) as error:
            raise TenancyViolated("a row without an organization came back") from error
        # In Python, 1 equals 1.0 and True.
        if found.count(owner) != len(found) or not {*map(type, found)} <= {type(owner)}:
            raise TenancyViolated("a row of another organization, or of an unknown one, came back")
