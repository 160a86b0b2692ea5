"""Local files are served to Druid, and nothing else is."""

import asyncio
import gc
import gzip
import socket
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from gateway.ingest.batch.files import CHUNK, ServeAddress, serve
from gateway.ingest.errors import IngestError

BODY = b"0123456789" * (CHUNK // 5)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "chats of may.jsonl"
    path.write_bytes(BODY)
    return path


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


async def test_a_file_is_sent_whole_and_counted(file: Path, session: aiohttp.ClientSession) -> None:
    async with serve([file], ServeAddress()) as served:
        assert served.size == len(BODY)
        async with session.get(served.uris[0]) as response:
            assert response.status == 200
            assert await response.read() == BODY
        assert served.sent == len(BODY)


async def test_a_broken_transfer_goes_on_where_it_broke(file: Path, session: aiohttp.ClientSession) -> None:
    async with (
        serve([file], ServeAddress()) as served,
        session.get(served.uris[0], headers={"Range": "bytes=1000-"}) as response,
    ):
        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"
        assert await response.read() == BODY[1000:]


async def test_a_range_beyond_the_end_is_416(file: Path, session: aiohttp.ClientSession) -> None:
    async with (
        serve([file], ServeAddress()) as served,
        session.get(served.uris[0], headers={"Range": f"bytes={len(BODY)}-"}) as response,
    ):
        assert response.status == 416


async def test_a_compressed_file_goes_out_as_it_is_under_its_own_ending(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    path = tmp_path / "chats.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n'))
    async with serve([path], ServeAddress()) as served:
        assert served.uris[0].endswith("/chats.jsonl.gz")
        async with session.get(served.uris[0]) as response:
            assert "Content-Encoding" not in response.headers
            assert await response.read() == path.read_bytes()


async def test_nothing_but_the_files_is_served_and_no_path_can_be_guessed(
    file: Path, session: aiohttp.ClientSession
) -> None:
    async with serve([file], ServeAddress()) as one, serve([file], ServeAddress()) as other:
        base, token, rest = one.uris[0].replace("http://", "").split("/", 2)
        assert token != other.uris[0].split("/")[3]
        assert len(token) >= 32
        for path in ("", f"{token}/", f"{token}/1/x", f"{token}/0/../../etc/passwd", f"{'x' * len(token)}/{rest}"):
            async with session.get(f"http://{base}/{path}") as response:
                assert response.status == 404, path


async def test_a_file_that_changes_meanwhile_is_not_sent(file: Path, session: aiohttp.ClientSession) -> None:
    async with serve([file], ServeAddress()) as served:
        await asyncio.to_thread(file.write_bytes, BODY + b"more")
        async with session.get(served.uris[0]) as response:
            assert response.status == 410
        assert served.changed == [file]


async def test_nothing_is_served_any_more_afterwards(file: Path, session: aiohttp.ClientSession) -> None:
    async with serve([file], ServeAddress()) as served:
        pass
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(served.uris[0])


async def test_an_address_of_another_machine_is_a_clear_error(file: Path) -> None:
    with pytest.raises(IngestError, match="--serve-address"):
        async with serve([file], ServeAddress("192.0.2.1")):
            pytest.fail("nothing can listen there")


async def test_a_file_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match=r"Cannot read .*none\.jsonl: No such file"):
        async with serve([tmp_path / "none.jsonl"], ServeAddress()):
            pytest.fail("there is nothing to serve")


@pytest.mark.parametrize(
    ("text", "address"),
    [("172.17.0.1", ServeAddress("172.17.0.1")), ("ingest:9000", ServeAddress("ingest", 9000))],
)
def test_an_address_is_a_host_with_or_without_a_port(text: str, address: ServeAddress) -> None:
    assert ServeAddress.parse(text) == address


@pytest.mark.parametrize("text", ["", ":80", "host:", "host:port", "http://host", "host:80:90", "host:70000"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        ServeAddress.parse(text)


def test_no_connection_outlives_the_block_though_its_client_reads_no_more(tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    # More than the system's socket buffers take.
    large.write_bytes(b"x" * 60_000_000)

    async def ask_and_leave() -> socket.socket:
        async with serve([large], ServeAddress()) as served:
            url = urlsplit(served.uris[0])
            client = socket.create_connection((url.hostname, url.port))
            client.sendall(f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
            await asyncio.sleep(0.2)
        return client

    with warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always")
        client = asyncio.run(ask_and_leave())
        gc.collect()
    client.close()
    assert not [str(warning.message) for warning in left_open]
