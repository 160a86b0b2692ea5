"""Ingestion by spec: the spec and its rows are checked, sent to Druid, and followed until queries read them.

`ingest` does what `gateway ingest SPEC` does with a batch spec, which `parse` reads. For streams see
`gateway.ingest.stream.lifecycle` and `gateway.ingest.stream.spec`.
"""

from gateway.druid.tasks import Phase, RowError, RowStats
from gateway.ingest.batch.file_server import ServeAddress
from gateway.ingest.batch.run import Progress, Summary, ingest
from gateway.ingest.batch.spec import BatchSpec, parse
from gateway.ingest.clients import DruidUrls
from gateway.ingest.errors import FailedTask, IngestError

__all__ = [
    "BatchSpec",
    "DruidUrls",
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
