"""The pages /explore and /docs: their headers, their files, and the settings of the operator."""

import gzip
import re

import pytest

from gateway.web.pages import FOLDER
from tests.http.asking import Client
from tests.http.conftest import Start
from tests.http.stand_in import StandIn

FIRST_LOAD = 200_000


@pytest.fixture(autouse=True)
def built() -> None:
    if not (FOLDER / "explore.html").is_file():
        pytest.fail("The pages are not built. Run `make explorer`.")


def files_of(page: bytes) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]+)"', page.decode())


@pytest.mark.parametrize(("path", "target"), [("/", "explore"), ("/explore/", "../explore"), ("/docs/", "../docs")])
async def test_other_paths_lead_to_the_pages_by_relative_redirects(client: Client, path: str, target: str) -> None:
    async with client.session.get(path, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, target)


@pytest.mark.parametrize("path", ["/explore", "/docs"])
async def test_a_page_names_files_with_relative_urls_that_can_be_cached_forever(client: Client, path: str) -> None:
    page = await client.send("GET", path)
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    files = files_of(page.body)
    assert len(files) == 3
    for file in files:
        assert re.fullmatch(r"explore/[a-z]+-[0-9A-Z]{8}\.(js|css|svg)", file)
        answer = await client.send("GET", f"/{file}")
        assert answer.status == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/explore", "/docs"])
async def test_a_page_allows_nothing_inline_and_nothing_from_elsewhere(client: Client, path: str) -> None:
    headers = (await client.send("GET", path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"


async def test_the_first_load_of_the_explorer_is_small(client: Client) -> None:
    page = await client.send("GET", "/explore")
    bodies = [page.body, *[(await client.send("GET", f"/{file}")).body for file in files_of(page.body)]]
    assert sum(len(gzip.compress(body)) for body in bodies) < FIRST_LOAD


async def test_files_are_compressed_where_the_caller_accepts_it(client: Client) -> None:
    script = next(each for each in files_of((await client.send("GET", "/explore")).body) if each.endswith(".js"))
    for coding in ("gzip", "zstd"):
        async with client.session.get(f"/{script}", headers={"Accept-Encoding": coding}) as response:
            assert response.headers["Content-Encoding"] == coding
            assert int(response.headers["Content-Length"]) < FIRST_LOAD
    async with client.session.get(f"/{script}", headers={"Accept-Encoding": "identity"}) as response:
        assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize("condition", ["{etag}", "W/{etag}", '"other", {etag}', "*"])
async def test_an_unchanged_page_is_not_sent_again(client: Client, condition: str) -> None:
    etag = (await client.send("GET", "/explore")).headers["etag"]
    headers = {"If-None-Match": condition.replace("{etag}", etag)}
    answer = await client.send("GET", "/explore", headers=headers)
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    changed = await client.send("GET", "/explore", headers={"If-None-Match": '"other"'})
    assert changed.status == 200


async def test_the_operators_name_color_and_links_are_in_the_page_as_data(
    start: Start, druid_stand_in: StandIn
) -> None:
    client = await start(
        druid_stand_in.url,
        explorer_name="</script><script>alert(1)</script>",
        explorer_color="#117733",
        explorer_links="Support=https://help.example.com/?a=b, Status=https://status.example.com",
    )
    page = (await client.send("GET", "/explore")).body.decode()
    assert "<script>alert" not in page
    assert '"color": "#117733"' in page
    assert '{"text": "Support", "url": "https://help.example.com/?a=b"}' in page
    assert '{"text": "Status", "url": "https://status.example.com"}' in page


async def test_the_explorer_can_be_switched_off(start: Start, druid_stand_in: StandIn) -> None:
    client = await start(druid_stand_in.url, explorer="off")
    for path in ("/", "/explore", "/docs"):
        assert (await client.send("GET", path)).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_page_can_only_be_read(client: Client, method: str) -> None:
    assert (await client.send(method, "/explore")).status == 405
    assert (await client.send("HEAD", "/explore")).status == 200
