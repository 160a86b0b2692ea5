"""Reports, and their links to the page."""

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Page

from tests.serving import D

JANUARY = {"start": "2019-01-01", "end": "2019-02-01", "time_zone": "Europe/Helsinki"}
ORG = {"type": "selector", "dimension": "scope", "value": "org"}
BY_TYPE = {
    "interval": JANUARY,
    "granularity": "week",
    "group_by": ["chat_type"],
    "aggregations": [{"type": "count"}, {"type": "sum", "fields": ["sales"]}],
    "filters": ORG,
}


def link(report: dict[str, Any], organization: str = D) -> str:
    return "#" + urlencode({"organization": organization, "data_set": "chat_sessions", "report": json.dumps(report)})


def report_of(page: Page) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(parse_qs(urlsplit(page.url).fragment)["report"][0])
    return report
