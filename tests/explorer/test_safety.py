"""The token stays secret, hostile values stay text, and the page works for everyone and everywhere."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Dialog, Route, expect

from tests.certificates import CertificateAuthority
from tests.explorer.conftest import HOSTILE, OpenExplorer
from tests.explorer.page import Explorer
from tests.explorer.reports import BY_TYPE, link
from tests.http.stand_in import never, respond, row, standing_in
from tests.serving import D, Gateway, P, listening, serving_aside, settings_for


def test_hostile_values_are_shown_as_text(open_explorer: OpenExplorer, hostile: Gateway) -> None:
    explorer = open_explorer(hostile)
    dialogs = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    explorer.page.on("dialog", note)
    report = {
        "interval": {"start": "2019-01-01", "end": "2019-02-01"},
        "group_by": ["team_id"],
        "aggregations": [{"type": "count"}],
    }
    explorer.sign_in(fragment=link(report))
    page = explorer.page
    cells = page.locator(".rows tbody td:nth-child(2)")
    assert sorted(cells.all_text_contents()) == sorted(HOSTILE)
    for value in HOSTILE[:3]:
        page.locator(".rows").get_by_role("button", name=value, exact=True).click()
        explorer.wait()
        expect(cells).to_have_text([value])
        page.go_back()
        explorer.wait()
    page.get_by_label("Time steps").select_option("day")
    explorer.run()
    page.mouse.move(900, 400)
    assert page.locator("img").count() == 0
    assert dialogs == []
    assert not explorer.overflows()


def test_the_token_is_in_no_url_and_nothing_remains_after_signing_out(explorer: Explorer) -> None:
    token = explorer.gateway.tokens[D]
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    page.reload()
    explorer.wait()
    for request in explorer.requests:
        assert token not in request.url
        assert not request.all_headers().get("referer")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API token")).to_have_value("")
    assert page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])") == '[{},{},""]'
    for _ in range(2):
        page.go_back()
        page.wait_for_timeout(300)
        text = page.locator("body").inner_text()
        assert "Sum of sales" not in text
        assert D not in text
        assert page.locator("#result").count() == 0


def test_after_changing_the_account_nothing_of_the_first_one_is_shown(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("API token").fill(explorer.gateway.tokens[P])
    page.get_by_role("button", name="Sign in").click()
    explorer.wait()
    assert D not in page.content()
    assert D not in page.url


def test_a_hundred_thousand_rows_scroll(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    rows = [["2019-01-01T00:00:00.000+02:00", f"visitor {n}", n, n / 7] for n in range(100_000)]

    def many(route: Route) -> None:
        if not explorer.is_report(route.request):
            route.fallback()
            return
        fields = [{"name": "start_time", "type": "dimension"}, {"name": "chat_type", "type": "dimension"}]
        fields += [{"name": "count", "type": "metric"}, {"name": "sales_sum", "type": "metric"}]
        route.fulfill(json={"fields": fields, "data": rows})

    page.route("**/*", many)
    explorer.run()
    expect(page.get_by_text("100,000 rows")).to_be_visible()
    assert page.locator(".rows tbody tr").count() < 100
    table = page.locator(".rows")
    for part, expected in ((0.5, "visitor 50000"), (1.0, "visitor 99999"), (0.0, "visitor 0")):
        table.evaluate(f"box => box.scrollTop = {part} * (box.scrollHeight - box.clientHeight)")
        expect(table.get_by_role("button", name=expected, exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(open_explorer: OpenExplorer, scheme: str) -> None:
    explorer = open_explorer(color_scheme=scheme)
    explorer.open()
    expect(explorer.page.get_by_label("API token")).to_be_visible()
    assert explorer.violations() == []
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    assert explorer.violations() == []
    page.get_by_text("Details of the request").click()
    page.get_by_text("The report as JSON", exact=True).click()
    page.get_by_role("button", name="Add a filter").click()
    assert explorer.violations() == []
    page.keyboard.press("Escape")
    page.get_by_label("Time steps").select_option("all")
    explorer.run()
    page.get_by_role("button", name="Questions").click()
    assert explorer.violations() == []


@pytest.mark.parametrize(("width", "height"), [(360, 740), (768, 1024), (3840, 2160)])
def test_the_page_fits_every_screen(open_explorer: OpenExplorer, width: int, height: int) -> None:
    explorer = open_explorer(viewport={"width": width, "height": height})
    explorer.sign_in(fragment=link(BY_TYPE))
    assert not explorer.overflows()
    for kind in ("Stacked bars", "Table"):
        explorer.show(kind)
        assert not explorer.overflows()


def test_numbers_and_dates_follow_the_browsers_locale(open_explorer: OpenExplorer) -> None:
    explorer = open_explorer(locale="de-DE")
    explorer.sign_in(fragment=link({**BY_TYPE, "granularity": "month", "group_by": []}))
    assert explorer.rows()[0][0] == "Jan. 2019"
    assert "," in explorer.rows()[0][2]


async def _only_the_time_range(request: web.Request) -> web.StreamResponse:
    """Respond to the query for the time range, and let reports run until they are cancelled."""
    query: dict[str, Any] = await request.json()
    is_range = any(each["name"] == "first" for each in query["aggregations"])
    return await (respond(row(rows=0)) if is_range else never)(request)


def test_cancelling_a_report_cancels_it_in_druid(open_explorer: OpenExplorer, tmp_path: Path) -> None:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(standing_in()) as druid:
        druid.answer = _only_the_time_range
        with serving_aside(settings_for(tmp_path, druid.url)) as gateway:
            explorer = open_explorer(gateway)
            explorer.open(link(BY_TYPE))
            explorer.page.get_by_label("API token").fill(gateway.tokens[D])
            explorer.page.get_by_role("button", name="Sign in").click()
            explorer.page.get_by_role("button", name="Cancel").click()
            expect(explorer.page.get_by_text("Cancelled.")).to_be_visible()
            portal.call(lambda: druid.wait_for(cancelled=1, seconds=20))
            # Closed before the servers, which otherwise end with open connections.
            explorer.page.context.close()


@asynccontextmanager
async def _serving(app: web.Application, tls: ssl.SSLContext) -> AsyncIterator[str]:
    async with listening(app, ssl_context=tls) as url:
        yield url
    # Connections with TLS close after the server has.
    await asyncio.sleep(0.5)


@pytest.fixture
def behind_a_proxy(generated_gateway: Gateway, tmp_path: Path) -> Iterator[str]:
    """The gateway's URL behind a proxy that speaks TLS and removes the prefix /reports."""

    async def forward(request: web.Request) -> web.Response:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            url = generated_gateway.url + request.path_qs.removeprefix("/reports")
            headers = {name: value for name, value in request.headers.items() if name != "Host"}
            async with session.request(
                request.method, url, headers=headers, data=await request.read(), allow_redirects=False
            ) as answer:
                kept = {name: value for name, value in answer.headers.items() if name not in ("Content-Length", "Date")}
                return web.Response(status=answer.status, headers=kept, body=await answer.read())

    app = web.Application()
    app.router.add_route("*", "/reports/{path:.*}", forward)
    identity = CertificateAuthority(tmp_path).issue("proxy")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(identity.certificate, identity.key)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_serving(app, tls)) as url:
        yield f"{url}/reports"


def test_the_page_works_behind_a_path_prefix_and_tls(behind_a_proxy: str, open_explorer: OpenExplorer) -> None:
    explorer = open_explorer(url=behind_a_proxy, ignore_https_errors=True)
    explorer.page.goto(f"{behind_a_proxy}/")
    assert explorer.page.url == f"{behind_a_proxy}/explore"
    explorer.sign_in()
    assert explorer.rows()
    explorer.page.get_by_role("link", name="API reference").click()
    expect(explorer.page.locator(".opblock-summary-path").first).to_be_visible(timeout=30_000)
    assert explorer.page.url == f"{behind_a_proxy}/docs"


def test_without_a_data_set_the_page_says_so(open_explorer: OpenExplorer, tmp_path: Path) -> None:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(standing_in()) as druid:
        druid.answer = _only_the_time_range
        # The data set serves organizations whose ids are UUIDs.
        with serving_aside(settings_for(tmp_path, druid.url), organizations=(D, "7")) as gateway:
            explorer = open_explorer(gateway)
            page = explorer.page
            explorer.open()
            page.get_by_label("API token").fill(gateway.tokens["7"])
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_text("This organization has no data set")).to_be_visible()
            expect(page.get_by_text("Ask the operator of this page")).to_be_visible()
            expect(page.locator(".failure")).to_have_count(0)
            assert explorer.violations() == []
            assert not any("/orgs/" in request.url for request in explorer.requests)
            page.reload()
            expect(page.get_by_text("This organization has no data set")).to_be_visible()
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_label("API token")).to_be_visible()
            page.context.close()


def test_an_organization_with_a_data_set_is_chosen_first(explorer: Explorer) -> None:
    listing = explorer.gateway.get("/api/reporting/v1/orgs").json
    empty = {"id": "7", "name": "Nothing here", "is_partner": False, "data_sets": []}
    listing["organizations"].insert(0, empty)
    explorer.page.route("**/api/reporting/v1/orgs", lambda route: route.fulfill(json=listing))
    explorer.sign_in()
    organization = explorer.page.get_by_role("combobox", name="Organization", exact=True)
    expect(organization).to_have_value(D)
    organization.select_option("Nothing here")
    expect(explorer.page.get_by_text("Choose another organization at the top.")).to_be_visible()
    organization.select_option(D)
    explorer.wait()
    explorer.page.go_back()
    expect(explorer.page.get_by_text("This organization has no data set")).to_be_visible()
