"""Ingestion by spec: checked against the catalog, sent to Druid, followed until the segments answer queries.

`ingest` is the function behind `gateway ingest SPEC`; `parse` makes the checked spec that it takes. Streams:
`gateway.ingest.streaming` and `gateway.ingest.stream_spec`.
"""

from gateway.ingest.druid_client import Cluster
from gateway.ingest.errors import FailedTask, IngestError
from gateway.ingest.files import ServeAddress
from gateway.ingest.ingestion import Progress, Summary, ingest
from gateway.ingest.reports import Phase, RowError, RowStats
from gateway.ingest.spec import BatchSpec, parse

__all__ = [
    "BatchSpec",
    "Cluster",
    "FailedTask",
    "IngestError",
    "Phase",
    "Progress",
    "RowError",
    "RowStats",
    "ServeAddress",
    "Summary",
    "ingest",
    "parse",
]
