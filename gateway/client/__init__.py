"""A client of the gateway's public API: `Client` blocks, `AsyncClient` awaits.

Nothing of the server uses it, and it uses nothing of the server. It needs aiohttp and urllib3.
"""

from gateway.client.aggregations import Aggregation, PostAggregation
from gateway.client.answers import Answer, Description, Explanation, Field, Freshness, Organization, ReportWarning
from gateway.client.async_client import AsyncClient, AsyncDataSet
from gateway.client.client import Client, DataSet
from gateway.client.errors import Problem, ReportingError
from gateway.client.filters import Filter
from gateway.client.reports import Fixed, Granularity, Interval, Report
from gateway.client.retries import Limits
from gateway.client.tables import Table

__all__ = [
    "Aggregation",
    "Answer",
    "AsyncClient",
    "AsyncDataSet",
    "Client",
    "DataSet",
    "Description",
    "Explanation",
    "Field",
    "Filter",
    "Fixed",
    "Freshness",
    "Granularity",
    "Interval",
    "Limits",
    "Organization",
    "PostAggregation",
    "Problem",
    "Report",
    "ReportWarning",
    "ReportingError",
    "Table",
]
