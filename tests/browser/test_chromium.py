"""A web page on another origin, in a real Chromium, requests a report and shows a number of it."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest
from aiohttp import web

from tests.http.asking import COUNT
from tests.http.stand_in import StandIn, respond, row, standing_in
from tests.serving import listening, serving, settings_for

PAGE = """<!doctype html>
<title>Dashboard</title>
<p id="count">nothing yet</p>
<script>
  const show = (text) => document.getElementById("count").textContent = text;
  fetch("{url}", {{
    method: "POST",
    headers: {{"Authorization": "Token {token}", "Content-Type": "application/json", "Accept": "{accept}"}},
    body: JSON.stringify({report}),
  }})
    .then(async (response) => {{
      const left = response.headers.get("RateLimit") ? "with its limits" : "without its limits";
      show(`sessions: ${{(await response.text()).match(/\\d+(?=\\D*$)/)[0]}}, ${{left}}`);
    }})
    .catch((error) => show(`refused: ${{error.name}}`));
</script>
"""


async def shown(page: str, folder: Path) -> str:
    """Return what the page shows in Chromium."""

    async def serve(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", serve)
    async with listening(app) as origin:
        chromium = await asyncio.create_subprocess_exec(
            find_chromium(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            origin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(120):
            document, _ = await chromium.communicate()
    found = re.search(r'id="count">(.*?)</p>', document.decode())
    assert found is not None, document.decode()
    return found[1]


def find_chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.fail("Chromium is missing: run 'apt-get install chromium', or put another build of it on PATH.")


@pytest.mark.parametrize(
    ("origins", "accept", "expected"),
    [
        (("*",), "application/json", "sessions: 7, with its limits"),
        (("*",), "text/csv", "sessions: 7, with its limits"),
        ((), "application/json", "refused: TypeError"),
        (("https://dashboard.example",), "application/json", "refused: TypeError"),
    ],
)
async def test_a_page_of_another_origin_shows_a_number(
    tmp_path: Path, origins: tuple[str, ...], accept: str, expected: str
) -> None:
    async with (
        standing_in() as druid,
        serving(settings_for(tmp_path, druid.url, cors_origins=origins)) as gateway,
    ):
        assert isinstance(druid, StandIn)
        druid.answer = respond(row(count=7))
        [token, *_] = gateway.tokens.values()
        page = PAGE.format(url=f"{gateway.url}{gateway.path()}", token=token, accept=accept, report=json.dumps(COUNT))
        assert await shown(page, tmp_path / "chromium") == expected
