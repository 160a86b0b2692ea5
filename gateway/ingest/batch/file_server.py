"""A file server for Druid, which runs while a task reads the files.

Druid reads its input itself, from wherever its indexer runs: on this machine, in a container, or on another host. An
`inline` input source would put the rows into the task and cannot be partitioned by range; a `local` one needs a folder
that both sides see under the same path. HTTP needs one address, and shows how much Druid has read.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from gateway.ingest.batch.row_files import RowFile
from gateway.ingest.errors import IngestError

CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class ServeAddress:
    """An address of this machine that Druid's indexer can reach. Port 0 means any free port."""

    host: str = "127.0.0.1"
    port: int = 0

    @staticmethod
    def parse(text: str) -> "ServeAddress":
        """`HOST` or `HOST:PORT`. Raises ValueError."""
        host, colon, port = text.partition(":")
        if not host or (colon and not port.isdecimal()) or ":" in port:
            raise ValueError(f"{text!r} is not an address: give HOST or HOST:PORT")
        if int(port or 0) > 65_535:
            raise ValueError(f"{text!r} is not an address: the port of HOST:PORT is at most 65535")
        return ServeAddress(host, int(port or 0))


@dataclass(slots=True)
class ServedFiles:
    """`size` is the size of all files. `sent` counts the bytes of all responses: Druid may read a file twice."""

    uris: tuple[str, ...]
    address: str
    size: int
    sent: int = 0
    changed: list[Path] = field(default_factory=list)


@asynccontextmanager
async def serve(files: Sequence[RowFile], address: ServeAddress) -> AsyncIterator[ServedFiles]:
    """Serve exactly these files under URLs that cannot be guessed, until the block ends.

    Raises IngestError if nothing can listen at the address.
    """
    token = secrets.token_urlsafe(24)
    served = ServedFiles((), "", sum(file.size for file in files))
    connections: set[asyncio.Transport] = set()

    async def send(request: web.Request) -> web.StreamResponse:
        index = int(request.match_info["index"])
        if not secrets.compare_digest(request.match_info["token"], token) or index >= len(files):
            raise web.HTTPNotFound
        if request.transport is not None:
            connections.add(request.transport)
        return await _send(request, files[index], served)

    application = web.Application()
    application.router.add_get(r"/{token}/{index:\d{1,9}}/{name}", send)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            site = web.TCPSite(runner, address.host, address.port)
            await site.start()
        except OSError as error:
            raise IngestError(
                f"Cannot serve the files to Druid at {address.host}:{address.port}: {error.strerror or error}. Name an "
                "address of this machine that Druid's indexer can reach: --serve-address HOST[:PORT]."
            ) from error
        served.address = f"{address.host}:{runner.addresses[0][1]}"
        # Druid decompresses by the suffix. The file's own name may not be fit for a URL.
        served.uris = tuple(
            f"http://{served.address}/{token}/{index}/rows.jsonl{file.suffix}" for index, file in enumerate(files)
        )
        yield served
    finally:
        await runner.cleanup()
        # Closing alone would wait for bytes to be sent that Druid does not read any more.
        for connection in connections:
            connection.abort()
        await asyncio.sleep(0)


async def _send(request: web.Request, expected: RowFile, served: ServedFiles) -> web.StreamResponse:
    with expected.path.open("rb") as file:
        stat = os.fstat(file.fileno())
        if (stat.st_size, stat.st_mtime_ns) != (expected.size, expected.modified):
            served.changed.append(expected.path)
            raise web.HTTPGone(text="the file changed after it was checked")
        start = _start(request)
        if start is not None and start >= stat.st_size:
            raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{stat.st_size}"})
        response = web.StreamResponse(status=200 if start is None else 206)
        response.headers["Accept-Ranges"] = "bytes"
        response.content_type = "application/octet-stream"
        response.content_length = stat.st_size - (start or 0)
        if start is not None:
            response.headers["Content-Range"] = f"bytes {start}-{stat.st_size - 1}/{stat.st_size}"
        await response.prepare(request)
        file.seek(start or 0)
        left = response.content_length
        while left and (chunk := await asyncio.to_thread(file.read, min(CHUNK, left))):
            await response.write(chunk)
            served.sent += len(chunk)
            left -= len(chunk)
        await response.write_eof()
        return response


def _start(request: web.Request) -> int | None:
    """Return N of `Range: bytes=N-`, with which Druid continues a broken transfer. Other ranges may be ignored."""
    try:
        asked = request.http_range
    except ValueError:
        return None
    return asked.start if asked.start is not None and asked.start >= 0 and asked.stop is None else None
