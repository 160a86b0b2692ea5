"""The pages that people read in a browser: the explorer at /explore and the API reference at /docs.

`make explorer` builds their files from explorer/. They are loaded once, and hold nothing of any organization: the
explorer asks the API like every other caller.
"""

import json
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.settings import Settings
from gateway.web.compression import PrecompressedDocument

FOLDER: Final = Path(__file__).with_name("pages")
"""Where `make explorer` puts what it builds."""

_HASHED_FILES: Final = "public, max-age=31536000, immutable"
_PAGES: Final = "no-cache"
_SETTINGS_PLACE: Final = b"{}</script>"
_HEADERS: Final = {
    # Nothing from elsewhere, nothing inline, and no other page may embed these.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _File:
    content: PrecompressedDocument
    content_type: str
    cache_control: str
    etag: str


def routes(settings: Settings, folder: Path = FOLDER) -> Iterator[web.RouteDef]:
    """Yield the routes of the pages; none if they are switched off or not built."""
    if settings.explorer == "off":
        return
    if not (folder / "explore.html").is_file():
        _log.warning("explorer_not_built", remedy="Run `make explorer`, or set GATEWAY_EXPLORER=off.")
        return
    files = {path.name: _load(path, settings) for path in sorted(folder.iterdir()) if path.is_file()}
    yield web.get("/", _redirect("explore"))
    yield web.get("/explore/", _redirect("../explore"))
    yield web.get("/docs/", _redirect("../docs"))
    yield web.get("/explore", _sending(files["explore.html"]))
    yield web.get("/docs", _sending(files["docs.html"]))
    for name, file in files.items():
        if not name.endswith(".html"):
            yield web.get(f"/explore/{name}", _sending(file))


def _load(path: Path, settings: Settings) -> _File:
    content, cache_control = path.read_bytes(), _HASHED_FILES
    if path.suffix == ".html":
        content, cache_control = _with_settings(content, settings), _PAGES
    return _File(
        _compressed(content),
        content_type=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        cache_control=cache_control,
        etag=sha256(content).hexdigest()[:32],
    )


@cache
def _compressed(content: bytes) -> PrecompressedDocument:
    """Return the document; a process compresses each content once."""
    return PrecompressedDocument(content)


def _with_settings(page: bytes, settings: Settings) -> bytes:
    """Fill in the page's settings: a JSON data block, which a browser never executes."""
    values = {
        "name": settings.explorer_name,
        "color": settings.explorer_color,
        "links": [dict(zip(("text", "url"), each.split("=", 1), strict=True)) for each in settings.explorer_links],
    }
    text = json.dumps(values).replace("<", "\\u003c")
    return page.replace(_SETTINGS_PLACE, text.encode() + b"</script>", 1)


def _redirect(to: str) -> Handler:
    async def redirect(_: web.Request) -> web.Response:
        # Relative, so that it also works behind a path prefix that a proxy removes.
        return web.Response(status=302, headers={"Location": to, "Cache-Control": _PAGES})

    return redirect


def _sending(file: _File) -> Handler:
    headers = {**_HEADERS, "Cache-Control": file.cache_control, "ETag": f'"{file.etag}"'}

    async def send(request: web.Request) -> web.Response:
        if any(each.value in (file.etag, "*") for each in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        response = file.content.response(request, file.content_type)
        response.charset = "utf-8"
        response.headers.update(headers)
        return response

    return send
