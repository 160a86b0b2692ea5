"""What can be requested: each function returns the request and how to read its response. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from gateway.client.answers import (
    Answer,
    Cell,
    Organization,
    read_answer,
    read_object,
    read_organizations,
    read_values,
)
from gateway.client.exchange import Operation, Request
from gateway.client.reports import Fixed, Report
from gateway.client.tables import Table, read_table

API: Final = "/api/reporting/v1"
_LONGEST_LINK: Final = 6_000
"""Longer reports are sent in a body. The gateway accepts 8 kB, of which a prefix before the path needs a part."""


def organizations() -> Operation[list[Organization]]:
    return Operation(Request(f"{API}/orgs"), read_organizations)


@dataclass(frozen=True, slots=True)
class DataSetPath:
    """Where the reports on one data set of one organization are requested."""

    organization_id: str
    name: str

    def answer(self, report: Report) -> Operation[Answer]:
        return Operation(self._report(report, {}), read_answer)

    def table(self, report: Report) -> Operation[Table]:
        return Operation(self._report(report, {"format": "arrow"}), read_table)

    def explanation(self, report: Report) -> Operation[Mapping[str, Any]]:
        return Operation(self._report(report, {"explain": "true"}), read_object)

    def description(self) -> Operation[Mapping[str, Any]]:
        return Operation(Request(self._path), read_object)

    def values(
        self, dimension: str, interval: Fixed, *, search: str | None, limit: int | None
    ) -> Operation[list[tuple[Cell, int]]]:
        parameters = {**interval, "search": search, "limit": limit}
        given = {key: value for key, value in parameters.items() if value is not None}
        target = f"{self._path}/dimensions/{quote(dimension, safe='')}/values?{urlencode(given)}"
        return Operation(Request(target), read_values)

    @property
    def _path(self) -> str:
        return f"{API}/orgs/{quote(self.organization_id, safe='')}/{quote(self.name, safe='')}"

    def _report(self, report: Report, parameters: Mapping[str, str]) -> Request:
        """Return a link, whose response has an ETag, or a POST for a report that is too long for one."""
        text = json.dumps(report, ensure_ascii=False, separators=(",", ":"))
        link = f"{self._path}/report?{urlencode({**parameters, 'q': text})}"
        if len(link) <= _LONGEST_LINK:
            return Request(link)
        query = f"?{urlencode(parameters)}" if parameters else ""
        return Request(f"{self._path}{query}", text.encode())
