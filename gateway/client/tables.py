"""A report's rows in Arrow's format, for data frames."""

from dataclasses import dataclass, field
from importlib import import_module
from io import BytesIO
from types import ModuleType
from typing import TYPE_CHECKING

from gateway.client.exchange import Response

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a report. `omitted` names what the answer in JSON would have beside them, such as warnings."""

    arrow_stream: bytes = field(repr=False)
    omitted: tuple[str, ...]
    request_id: str | None

    def to_arrow(self) -> "pa.Table":
        """Return a pyarrow.Table; requires pyarrow."""
        return _require("pyarrow.ipc", "pyarrow").open_stream(self.arrow_stream).read_all()

    def to_pandas(self) -> "pd.DataFrame":
        """Return a pandas.DataFrame; requires pandas and pyarrow."""
        _require("pandas", "pandas pyarrow")
        return self.to_arrow().to_pandas()

    def to_polars(self) -> "pl.DataFrame":
        """Return a polars.DataFrame; requires polars."""
        frame: pl.DataFrame = _require("polars", "polars").read_ipc_stream(BytesIO(self.arrow_stream))
        return frame


def read_table(response: Response) -> Table:
    """Read the response to a report in Arrow's format."""
    if response.headers.get("content-type") != "application/vnd.apache.arrow.stream":
        raise ValueError("not Arrow's format")
    omitted = response.headers.get("omitted-members", "")
    return Table(response.body, tuple(each.strip() for each in omitted.split(",") if each), response.request_id)


def _require(module: str, packages: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"A package is missing. Install it: pip install {packages}", name=module) from error
