"""The explorer in a real browser, Debian's Chromium, in front of the real gateway and a real Druid."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.explorer.page import Explorer, is_built
from tests.serving import Gateway

OpenExplorer = Callable[..., Explorer]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium. It ends with this folder's tests: while it runs, no other event loop can run in this thread."""
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
