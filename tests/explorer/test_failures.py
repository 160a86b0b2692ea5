"""Responses that arrive in part, or that are not the gateway's."""

from collections.abc import Callable, Iterator

import aiohttp
import pytest
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from playwright.sync_api import Route, expect

from tests.explorer.conftest import OpenExplorer
from tests.explorer.page import TOKEN_FIELD, Explorer
from tests.explorer.reports import BY_TYPE, link
from tests.serving import D, Gateway, listening


class CuttingProxy:
    """Passes requests on to a gateway, and closes the connection in the middle of the bodies that `cuts` chooses."""

    def __init__(self, gateway: Gateway) -> None:
        self.cuts: Callable[[web.Request], bool] = lambda _: False
        self.url = ""
        self._gateway = gateway.url
        self.app = web.Application()
        self.app.router.add_route("*", "/{path:.*}", self._forward)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Accept-Encoding")}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, self._gateway + request.path_qs, headers=headers, data=await request.read()
            ) as answer,
        ):
            body = await answer.read()
            kept = {name: value for name, value in answer.headers.items() if name != "Date"}
            if not self.cuts(request):
                return web.Response(status=answer.status, headers=kept, body=body)
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
            assert request.transport is not None
            request.transport.close()
            return response


@pytest.fixture
def proxy(generated_gateway: Gateway) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(generated_gateway)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(listening(proxy.app)) as url:
        proxy.url = url
        yield proxy


def is_report(request: web.Request) -> bool:
    return request.method == "POST" and "explain" not in request.query_string


def test_a_connection_lost_in_the_middle_of_a_response_is_explained(
    proxy: CuttingProxy, open_explorer: OpenExplorer
) -> None:
    explorer = open_explorer(url=proxy.url)
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    proxy.cuts = is_report
    page.get_by_role("button", name="Run", exact=True).click()
    note = page.locator('.failure[data-code="incomplete_response"]')
    expect(note).to_contain_text("The connection was lost")
    expect(note).to_contain_text("Request id")
    proxy.cuts = lambda _: False
    note.get_by_role("button", name="Try again").click()
    explorer.wait()
    expect(note).to_have_count(0)
    assert explorer.rows()


@pytest.mark.parametrize("path", ["openapi.json", "/orgs", "/chat_sessions"])
def test_a_connection_lost_while_signing_in_is_explained(
    proxy: CuttingProxy, open_explorer: OpenExplorer, path: str
) -> None:
    explorer = open_explorer(url=proxy.url)
    proxy.cuts = lambda request: request.path.endswith(path)
    explorer.open()
    explorer.page.get_by_label(TOKEN_FIELD).fill(explorer.gateway.tokens[D])
    explorer.page.get_by_role("button", name="Sign in").click()
    expect(explorer.page.locator('.failure[data-code="incomplete_response"]')).to_be_visible()


def test_a_download_that_fails_leaves_the_result_and_can_be_repeated(
    proxy: CuttingProxy, open_explorer: OpenExplorer
) -> None:
    explorer = open_explorer(url=proxy.url)
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    shown = explorer.rows()
    proxy.cuts = is_report
    page.get_by_label("Download").select_option(label="CSV")
    note = page.locator('.failure[data-code="incomplete_response"]')
    expect(note).to_be_visible()
    assert explorer.rows() == shown
    expect(page.locator("#charts canvas")).to_have_count(2)
    assert explorer.violations() == []
    proxy.cuts = lambda _: False
    with page.expect_download() as waiting:
        note.get_by_role("button", name="Try again").click()
    assert waiting.value.suggested_filename == "chat_sessions.csv"
    expect(note).to_have_count(0)


@pytest.mark.parametrize("body", ["<html>Sign in to the Wi-Fi</html>", "null", "[]", '"text"'])
@pytest.mark.parametrize(("status", "code"), [(200, "unusable_response"), (502, "http_502")])
def test_a_response_that_is_not_the_gateways_is_explained(
    explorer: Explorer, body: str, status: int, code: str
) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page

    def intercept(route: Route) -> None:
        if explorer.is_report(route.request):
            route.fulfill(status=status, body=body, content_type="text/html")
        else:
            route.fallback()

    page.route("**/*", intercept)
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(f'.failure[data-code="{code}"]')).to_be_visible()


def test_an_image_that_cannot_be_made_is_explained(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    page.evaluate("() => { HTMLCanvasElement.prototype.toBlob = (done) => done(null); }")
    page.get_by_label("Download").select_option(label="PNG image")
    expect(page.locator('.failure[data-code="page_error"]')).to_be_visible()
    assert explorer.rows()
