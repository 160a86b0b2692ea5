"""Ingestion by spec: checked against the catalog, sent to Druid, followed until the segments answer queries.

`ingest` is the function behind `gateway ingest SPEC`; `parse` makes the checked spec that it takes. Streams:
`gateway.ingest.stream.streaming` and `gateway.ingest.stream.spec`.
"""

from gateway.ingest.batch.files import ServeAddress
from gateway.ingest.batch.ingestion import Progress, Summary, ingest
from gateway.ingest.batch.reports import Phase, RowError, RowStats
from gateway.ingest.batch.spec import BatchSpec, parse
from gateway.ingest.druid_client import Cluster
from gateway.ingest.errors import FailedTask, IngestError

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
