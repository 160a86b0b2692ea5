"""The file server serves the checked files, and nothing else."""

import asyncio
import gc
import gzip
import os
import socket
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from gateway.ingest.batch.file_server import CHUNK, ServeAddress, serve
from gateway.ingest.batch.row_files import RowFile
from gateway.ingest.errors import IngestError

BODY = b"0123456789" * (CHUNK // 5)


def checked(path: Path, suffix: str = "") -> RowFile:
    status = path.stat()
    return RowFile(path, suffix, status.st_size, status.st_mtime_ns)


@pytest.fixture
def file(tmp_path: Path) -> RowFile:
    path = tmp_path / "chats of may.jsonl"
    path.write_bytes(BODY)
    return checked(path)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


async def test_a_file_is_sent_and_its_bytes_are_counted(file: RowFile, session: aiohttp.ClientSession) -> None:
    async with serve([file], ServeAddress()) as served:
        assert served.size == len(BODY)
        async with session.get(served.uris[0]) as response:
            assert response.status == 200
            assert await response.read() == BODY
        assert served.sent == len(BODY)


async def test_a_broken_transfer_can_be_continued(file: RowFile, session: aiohttp.ClientSession) -> None:
    async with (
        serve([file], ServeAddress()) as served,
        session.get(served.uris[0], headers={"Range": "bytes=1000-"}) as response,
    ):
        assert response.status == 206
        assert response.headers["Content-Range"] == f"bytes 1000-{len(BODY) - 1}/{len(BODY)}"
        assert await response.read() == BODY[1000:]


async def test_a_range_beyond_the_end_is_416(file: RowFile, session: aiohttp.ClientSession) -> None:
    async with (
        serve([file], ServeAddress()) as served,
        session.get(served.uris[0], headers={"Range": f"bytes={len(BODY)}-"}) as response,
    ):
        assert response.status == 416


async def test_a_compressed_file_is_sent_as_it_is_with_its_suffix(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    path = tmp_path / "chats.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n'))
    async with serve([checked(path, ".gz")], ServeAddress()) as served:
        assert served.uris[0].endswith("/rows.jsonl.gz")
        async with session.get(served.uris[0]) as response:
            assert "Content-Encoding" not in response.headers
            assert await response.read() == path.read_bytes()


async def test_only_the_files_are_served_and_their_paths_cannot_be_guessed(
    file: RowFile, session: aiohttp.ClientSession
) -> None:
    async with serve([file], ServeAddress()) as one, serve([file], ServeAddress()) as other:
        base, token, rest = one.uris[0].replace("http://", "").split("/", 2)
        assert token != other.uris[0].split("/")[3]
        assert len(token) >= 32
        for path in ("", f"{token}/", f"{token}/1/x", f"{token}/0/../../etc/passwd", f"{'x' * len(token)}/{rest}"):
            async with session.get(f"http://{base}/{path}") as response:
                assert response.status == 404, path


async def test_a_file_that_changed_after_its_check_is_not_sent(file: RowFile, session: aiohttp.ClientSession) -> None:
    async with serve([file], ServeAddress()) as served:
        await asyncio.to_thread(file.path.write_bytes, BODY + b"more")
        async with session.get(served.uris[0]) as response:
            assert response.status == 410
        assert served.changed == [file.path]


async def test_nothing_is_served_after_the_block(file: RowFile, session: aiohttp.ClientSession) -> None:
    async with serve([file], ServeAddress()) as served:
        pass
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get(served.uris[0])


async def test_an_address_of_another_machine_is_rejected_with_the_option_to_change(file: RowFile) -> None:
    with pytest.raises(IngestError, match="--serve-address"):
        async with serve([file], ServeAddress("192.0.2.1")):
            pytest.fail("nothing can listen there")


async def test_the_url_is_valid_whatever_the_files_name_is(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    path = tmp_path / os.fsdecode(b"%#? \xff\x1b.jsonl")
    path.write_bytes(b"{}")
    async with serve([checked(path)], ServeAddress()) as served, session.get(served.uris[0]) as response:
        assert await response.read() == b"{}"


@pytest.mark.parametrize(
    ("text", "address"),
    [("172.17.0.1", ServeAddress("172.17.0.1")), ("ingest:9000", ServeAddress("ingest", 9000))],
)
def test_an_address_is_a_host_with_an_optional_port(text: str, address: ServeAddress) -> None:
    assert ServeAddress.parse(text) == address


@pytest.mark.parametrize("text", ["", ":80", "host:", "host:port", "http://host", "host:80:90", "host:70000"])
def test_text_that_is_not_an_address_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        ServeAddress.parse(text)


def test_no_connection_remains_after_the_block_if_its_client_stopped_reading(tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    # More than the system's socket buffers take.
    large.write_bytes(b"x" * 60_000_000)

    async def ask_and_leave() -> socket.socket:
        async with serve([checked(large)], ServeAddress()) as served:
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
