"""`make screenshots`: pictures of the pages, in var/screenshots. One of them is in README.md."""

import pytest

from tests.conftest import ROOT
from tests.explorer.conftest import OpenExplorer
from tests.explorer.reports import BY_TYPE, link

FOLDER = ROOT / "var" / "screenshots"
REPORTS = {
    "stacked": BY_TYPE,
    "comparison": {**BY_TYPE, "group_by": [], "granularity": "day", "compare": {"to": "previous_period"}},
    "numbers": {**BY_TYPE, "group_by": [], "granularity": "all", "compare": {"to": "previous_period"}},
    "bars": {**BY_TYPE, "granularity": "all"},
    "heat": {**BY_TYPE, "granularity": "all", "group_by": ["day_of_week", "hour_of_day"]},
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280, 3840])
def test_take_screenshots(open_explorer: OpenExplorer, scheme: str, width: int) -> None:
    size = {"width": width, "height": max(740, width * 5 // 8)}
    explorer = open_explorer(viewport=size, color_scheme=scheme)
    for number, (name, report) in enumerate(REPORTS.items()):
        if number == 0:
            explorer.sign_in(fragment=link(report))
        else:
            explorer.open(link(report))
            explorer.page.reload()
            explorer.wait()
        if name == "stacked":
            explorer.show("Stacked bars")
        explorer.page.wait_for_timeout(300)
        explorer.page.screenshot(path=FOLDER / f"{name}-{width}-{scheme}.png", full_page=width == 360)
    explorer.page.goto(f"{explorer.url}/docs")
    explorer.page.wait_for_timeout(1000)
    explorer.page.screenshot(path=FOLDER / f"docs-{width}-{scheme}.png")
