"""Compressed responses. A thread compresses them, so that the event loop does not wait."""

import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from aiohttp import web
from backports import zstd

from gateway.web.context import CONTEXT
from gateway.web.negotiation import preferred_coding

SMALLEST: Final = 4_096
"""Bodies with fewer bytes are sent as they are: compressing them saves no packet."""

_SLICE: Final = 262_144
"""How many bytes the thread compresses before another organization has its turn: a few milliseconds of work."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_GZIP_LEVEL: Final = 4
"""Half of the default level's time, for a body that is a few percent longer."""


class _Compressor(Protocol):
    def compress(self, data: memoryview, /) -> bytes: ...

    def flush(self) -> bytes: ...


CODINGS: Final[Mapping[str, Callable[[], _Compressor]]] = {
    "zstd": zstd.ZstdCompressor,
    "gzip": lambda: zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP),
}
"""The content codings. Of those that a caller likes equally, the first is used: zstd is faster and better."""


async def compress(request: web.Request, response: web.Response, organization_id: str) -> bool:
    """Compress the response's body if it is large enough and the caller accepts a coding; return whether it did."""
    body = response.body
    if not isinstance(body, bytes) or len(body) < SMALLEST:
        return False
    coding = preferred_coding(request.headers.getall("Accept-Encoding", ()), list(CODINGS))
    if coding is None:
        return False
    context, view = request[CONTEXT], memoryview(body)
    worker = context.services.worker
    compressor = CODINGS[coding]()
    parts = []
    for start in range(0, len(body), _SLICE):
        piece = view[start : start + _SLICE]
        parts.append(await worker.run(partial(compressor.compress, piece), organization_id, context))
    response.body = await worker.run(lambda: b"".join((*parts, compressor.flush())), organization_id, context)
    response.headers["Content-Encoding"] = coding
    return True


class PrecompressedDocument:
    """A document that does not change, compressed once."""

    def __init__(self, body: bytes) -> None:
        view = memoryview(body)
        self._bodies: dict[str | None, bytes] = {None: body}
        for coding, create in CODINGS.items():
            compressor = create()
            self._bodies[coding] = compressor.compress(view) + compressor.flush()

    def response(self, request: web.Request, content_type: str) -> web.Response:
        """Return the document in the coding that the caller prefers."""
        coding = preferred_coding(request.headers.getall("Accept-Encoding", ()), list(CODINGS))
        headers = {"Vary": "Accept-Encoding"} | ({} if coding is None else {"Content-Encoding": coding})
        return web.Response(body=self._bodies[coding], content_type=content_type, headers=headers)
