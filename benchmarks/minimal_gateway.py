"""A reporting gateway without any checks: the least CPU that aiohttp, JSON and a Druid query need for a request.

It parses a report, builds an equivalent native query, sends it and reshapes the rows. `peers.py` compares with it.
"""

import sys
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import orjson
import uvloop
from aiohttp import web

HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
AGGREGATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "count": ("", {"type": "count"}),
    "hyperUnique": ("_hyper_unique", {"type": "HLLSketchBuild", "lgK": 14, "round": True}),
    "sum": ("_sum", {"type": "doubleSum"}),
}


async def report(request: web.Request) -> web.Response:
    body = orjson.loads(await request.read())
    zone, groups = ZoneInfo(body["interval"]["time_zone"]), body["group_by"]
    start, end = (datetime.fromisoformat(body["interval"][name]).astimezone(zone) for name in ("start", "end"))
    metrics = []
    for suffix, native, fields in ((*AGGREGATORS[each["type"]], each["fields"]) for each in body["aggregations"]):
        metrics += [{"name": f"{field}{suffix}", "fieldName": field, **native} for field in fields]
    owner = {"type": "selector", "dimension": "owner_organization_id", "value": request.match_info["organization"]}
    query: dict[str, Any] = {
        "queryType": "groupBy" if groups else "timeseries",
        "dataSource": "chat_sessions",
        "intervals": f"{start.isoformat()}/{end.isoformat()}",
        "granularity": "all",
        "filter": {"type": "and", "fields": [owner, body["filters"]]},
        "aggregations": metrics,
        "context": {"skipEmptyBuckets": True, "resultAsArray": True},
    }
    if body["granularity"] == "day":
        query["granularity"] = {"type": "period", "period": "P1D", "timeZone": body["interval"]["time_zone"]}
    if groups:
        query |= {"dimensions": groups, "limitSpec": {"type": "default", "limit": body.get("limit", 100_001)}}
    async with request.app[DRUID].post("/druid/v2", data=orjson.dumps(query)) as response:
        rows = orjson.loads(await response.read())
    label = start.isoformat(timespec="milliseconds")
    if groups:
        data = [[label, *row] for row in rows]
    else:
        columns = [metric["name"] for metric in metrics]
        data = [[row["timestamp"], *(row["result"][name] for name in columns)] for row in rows]
        for row in data:
            moment = datetime.fromisoformat(row[0]).astimezone(zone)
            row[0] = moment.isoformat(timespec="milliseconds") if body["granularity"] == "day" else label
    described = [{"name": name, "type": "dimension"} for name in ("start_time", *groups)]
    described += [{"name": metric["name"], "type": "metric"} for metric in metrics]
    return web.Response(body=orjson.dumps({"fields": described, "data": data}), content_type="application/json")


DRUID = web.AppKey("DRUID", aiohttp.ClientSession)


async def create_app(broker_url: str) -> web.Application:
    app = web.Application()
    app[DRUID] = aiohttp.ClientSession(broker_url, connector=aiohttp.TCPConnector(limit=0), headers=HEADERS)
    app.router.add_post("/api/reporting/v1/orgs/{organization}/chat_sessions", report)
    return app


if __name__ == "__main__":
    port, broker = sys.argv[1:]
    web.run_app(create_app(broker), host="127.0.0.1", port=int(port), loop=uvloop.new_event_loop(), access_log=None)
