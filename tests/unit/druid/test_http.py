"""The HTTP client of Druid's services: no credential is shown, and none goes to a host that is not configured."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from gateway.druid.api.http import Service, ServiceUnreachable, describe, quoted
from gateway.druid.api.urls import ServiceUrl
from tests.serving import listening

SECRET = "marker-password"
TIMEOUT = aiohttp.ClientTimeout(total=2)


def with_credentials(url: str) -> ServiceUrl:
    return ServiceUrl(url.replace("http://", f"http://admin:{SECRET}@"))


@asynccontextmanager
async def responding(respond: web.RequestHandler | object) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)  # type: ignore[arg-type]
    async with listening(app) as url:
        yield url


async def show_authorization(request: web.Request) -> web.Response:
    return web.Response(text=request.headers.get("Authorization", "none"))


def test_no_text_form_of_a_url_contains_its_credentials() -> None:
    url = with_credentials("http://druid.example:8081/base/")
    assert str(url) == "http://druid.example:8081/base/"
    assert SECRET not in f"{url!r} {url} {url / 'path'} {[url]}"
    assert url.headers().keys() == {"Authorization"}


@pytest.mark.parametrize("text", ["", "druid", f"ftp://a:{SECRET}@b", f"http://a:{SECRET}@", f"http://a:{SECRET}@[b"])
def test_an_invalid_url_is_rejected_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="give a URL") as failure:
        ServiceUrl(text)
    assert SECRET not in str(failure.value)


def test_path_segments_may_contain_any_character() -> None:
    assert str(ServiceUrl("http://a/") / quoted("s", "a%b#c?d/e")) == "http://a/s/a%25b%23c%3Fd%2Fe"


async def test_credentials_follow_a_redirect_to_a_configured_host_only() -> None:
    async with responding(show_authorization) as leader:

        async def redirect(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"{leader}{request.path_qs}"})

        async with responding(redirect) as follower:
            both = [with_credentials(follower), with_credentials(leader)]
            for urls, shown in ((both, b"Basic "), (both[:1], b"none")):
                async with Service(urls, timeout=TIMEOUT) as service:
                    status, body = await service.fetch("POST", "a", params={"b": "c"}, data=b"{}")
                    assert (status, body[:6].strip()) == (200, shown.strip()[:6])


async def test_without_a_leader_the_redirects_end_in_an_error() -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": str(request.url)})

    async with responding(redirect) as url, Service([with_credentials(url)], timeout=TIMEOUT) as service:
        with pytest.raises(ServiceUnreachable, match="has no leader yet") as failure:
            await service.fetch("GET", "a")
    assert SECRET not in f"{failure.value!r}"


async def test_the_next_url_is_used_if_one_cannot_be_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unused = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with responding(show_authorization) as url:
        async with Service([ServiceUrl(unused), ServiceUrl(url)], timeout=TIMEOUT) as service:
            assert (await service.fetch("GET", "a"))[0] == 200
        async with Service([with_credentials(unused)], timeout=TIMEOUT) as service:
            with pytest.raises(ServiceUnreachable, match="connection refused") as failure:
                await service.fetch("GET", "a")
    assert SECRET not in str(failure.value)


async def test_every_way_to_fail_has_a_message_without_credentials() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async def disconnect(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def break_off(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"[")
        assert request.transport is not None
        request.transport.close()
        return response

    texts = []
    timeout = aiohttp.ClientTimeout(total=0.2)
    for respond in (hang, disconnect, break_off):
        async with responding(respond) as url, Service([with_credentials(url)], timeout=timeout) as service:
            with pytest.raises(ServiceUnreachable) as failure:
                await service.fetch("GET", "a")
            texts.append(str(failure.value))
    for text, part in zip(texts, ("no response in 0.2 s", "closed before", "in the middle"), strict=True):
        assert part in text
    assert SECRET not in "".join(texts)


def test_an_exception_that_is_not_foreseen_is_named_by_its_type_alone() -> None:
    assert describe(aiohttp.ClientError(f"http://a:{SECRET}@b")) == "ClientError"
