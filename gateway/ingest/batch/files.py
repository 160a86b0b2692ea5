"""Local files, served to Druid over HTTP for as long as it reads them.

Druid reads its input itself, from wherever its indexer runs: on this machine, in a container, or on another host. An
`inline` input source would put the rows into the task (and cannot be partitioned by range); a `local` one needs a
folder that both sides see under the same path. HTTP needs one address, and lets the sender count what was read.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from gateway.ingest.errors import IngestError

CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class ServeAddress:
    """An address of this machine at which Druid's indexer reaches it. Port 0: any free one."""

    host: str = "127.0.0.1"
    port: int = 0

    @staticmethod
    def parse(text: str) -> "ServeAddress":
        """`HOST` or `HOST:PORT`. Raises ValueError."""
        host, colon, port = text.partition(":")
        if not host or (colon and not port.isdecimal()) or ":" in port:
            raise ValueError(f"{text!r} is no address: give HOST or HOST:PORT")
        if int(port or 0) > 65_535:
            raise ValueError(f"{text!r} is no address: ports of HOST:PORT end at 65535")
        return ServeAddress(host, int(port or 0))


@dataclass(slots=True)
class ServedFiles:
    """`sent` counts bytes over all requests, and Druid may well read a file more than once."""

    uris: tuple[str, ...]
    size: int
    sent: int = 0
    changed: list[Path] = field(default_factory=list)


@asynccontextmanager
async def serve(files: Sequence[Path], address: ServeAddress) -> AsyncIterator[ServedFiles]:
    """Serves exactly these files under paths that cannot be guessed, until the block ends.

    Raises IngestError when a file cannot be read or nothing can listen at the address.
    """
    token = secrets.token_urlsafe(24)
    served = ServedFiles((), 0)
    connections: set[asyncio.Transport] = set()
    stats = [_stat(path) for path in files]
    served.size = sum(stat.st_size for stat in stats)

    async def send(request: web.Request) -> web.StreamResponse:
        index = int(request.match_info["index"])
        if not secrets.compare_digest(request.match_info["token"], token) or index >= len(files):
            raise web.HTTPNotFound
        if request.transport is not None:
            connections.add(request.transport)
        return await _send(request, files[index], stats[index], served)

    application = web.Application()
    application.router.add_get(r"/{token}/{index:\d+}/{name}", send)
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
        port = runner.addresses[0][1]
        base = f"http://{address.host}:{port}/{token}"
        # The name stays at the end: Druid decompresses by it.
        served.uris = tuple(f"{base}/{index}/{quote(path.name)}" for index, path in enumerate(files))
        yield served
    finally:
        await runner.cleanup()
        # A mere close would wait for bytes to be sent that Druid, done or cancelled, does not read any more.
        for connection in connections:
            connection.abort()
        await asyncio.sleep(0)


def _stat(path: Path) -> os.stat_result:
    try:
        with path.open("rb"):
            return path.stat()
    except OSError as error:
        raise IngestError(f"Cannot read {path}: {error.strerror}.") from error


async def _send(request: web.Request, path: Path, expected: os.stat_result, served: ServedFiles) -> web.StreamResponse:
    with path.open("rb") as file:
        stat = os.fstat(file.fileno())
        if (stat.st_size, stat.st_mtime_ns) != (expected.st_size, expected.st_mtime_ns):
            # Druid reads twice; two different files would be cut at the wrong places.
            served.changed.append(path)
            raise web.HTTPGone(text=f"{path.name} was changed while Druid read it")
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
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            await response.write(chunk)
            served.sent += len(chunk)
        await response.write_eof()
        return response


def _start(request: web.Request) -> int | None:
    """Druid asks for `bytes=N-`, N over 0 to go on where a connection broke; others may be ignored (RFC 9110)."""
    try:
        asked = request.http_range
    except ValueError:
        return None
    return asked.start if asked.start is not None and asked.start >= 0 and asked.stop is None else None
