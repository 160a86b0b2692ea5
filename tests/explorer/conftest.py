"""The explorer in a real browser, Debian's Chromium, in front of the real gateway and a real Druid."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from gateway.catalog.model import Dataset
from tests.conftest import Data
from tests.explorer.modules import Modules
from tests.explorer.page import Explorer, is_built
from tests.serving import D, Gateway

OpenExplorer = Callable[..., Explorer]

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "'\"><script>alert(1)</script>",
    '=HYPERLINK("http://evil.example")',
    "\u202egnp.exe",
    "مرحبا",
    "{{constructor.constructor('alert(1)')()}}",
    "x" * 1024,
)
"""Values of a dimension that a page could mistake for something else than text."""


@pytest.fixture(scope="session")
def hostile(
    ingested: Callable[..., Dataset], gateway_for: Callable[..., Gateway], tmp_path_factory: pytest.TempPathFactory
) -> Gateway:
    file = tmp_path_factory.mktemp("hostile") / "rows.jsonl"
    rows = [
        {"timestamp": "2019-01-02T10:00:00Z", "owner_organization_id": D, "scope": "org", "team_id": value}
        for value in HOSTILE
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return gateway_for(Data(ingested("hostile", file), file, (D,)))


@pytest.fixture(scope="package")
def browser(generated_gateway: Gateway, hostile: Gateway) -> Iterator[Browser]:
    """Chromium. While it runs, no other event loop can run in this thread.

    So it starts after everything has been ingested, and ends with this folder's tests.
    """
    del generated_gateway, hostile
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("Chromium is missing. Install it: apt-get install chromium")
    if not is_built():
        pytest.fail("The explorer is not built. Run `make explorer`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_explorer(browser: Browser, generated_gateway: Gateway) -> Iterator[OpenExplorer]:
    """Open a tab in a new browser profile; keywords are the profile's options. No tab may report a fault."""
    with ExitStack() as stack:
        tabs = []

        def open_explorer(gateway: Gateway = generated_gateway, url: str | None = None, **options: Any) -> Explorer:
            given = {"locale": "en-GB", "timezone_id": "Europe/Helsinki", "viewport": {"width": 1440, "height": 1000}}
            context = browser.new_context(**(given | options))
            stack.callback(context.close)
            explorer = Explorer(context.new_page(), gateway, url or gateway.url)
            tabs.append(explorer)
            return explorer

        yield open_explorer
        assert [fault for tab in tabs for fault in tab.faults] == []


@pytest.fixture
def explorer(open_explorer: OpenExplorer) -> Explorer:
    return open_explorer()


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Modules:
    return Modules(tmp_path_factory.mktemp("modules"))
