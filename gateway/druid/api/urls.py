"""The URL of a Druid service, which may contain credentials."""

from typing import final

import aiohttp
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from yarl import URL


@final
class ServiceUrl:
    """The base URL of a Druid service. Its text form never contains the credentials that the URL may carry."""

    __slots__ = ("_headers", "public")

    def __init__(self, text: str) -> None:
        """Read `http://[user:password@]host[:port][/path]`. Raises ValueError, whose text contains no credentials."""
        try:
            url = URL(text)
        except ValueError:
            url = URL()
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("give a URL such as http://druid.example:8082, which begins with http:// or https://")
        self.public = url.with_user(None).with_path(url.path)
        has_credentials = url.user or url.password
        self._headers = (
            {"Authorization": aiohttp.encode_basic_auth(url.user or "", url.password or "")} if has_credentials else {}
        )

    def __str__(self) -> str:
        return str(self.public)

    def __repr__(self) -> str:
        return f"ServiceUrl({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServiceUrl) and (self.public, self._headers) == (other.public, other._headers)

    def __hash__(self) -> int:
        return hash(self.public)

    @property
    def is_secure(self) -> bool:
        """Whether connections use TLS."""
        return self.public.scheme == "https"

    def headers(self) -> dict[str, str]:
        """Return the headers that carry the credentials, if there are any. Never log them."""
        return dict(self._headers)

    def __truediv__(self, path: str) -> URL:
        """Return the public URL of a path that is already quoted; see `quoted`."""
        return URL(f"{str(self.public).rstrip('/')}/{path}", encoded=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let settings have fields of this type."""
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, ServiceUrl) else cls(str(value)),
            serialization=core_schema.to_string_ser_schema(),
        )
