"""Where the gateway is, and with which credential."""

from dataclasses import dataclass, field
from math import ceil
from typing import Literal
from urllib.parse import urlsplit

from gateway.client.exchange import Request, Response
from gateway.client.stored import condition

Scheme = Literal["Token", "Bearer"]


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway's URL, which may have a path, and a credential, which is part of no text."""

    url: str
    token: str = field(repr=False)
    scheme: Scheme

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise ValueError("url must be the gateway's http or https URL, without a user name or a query")
        if not self.token or not self.token.isascii() or not self.token.isprintable():
            raise ValueError("token must be an API token or an access token")

    def url_of(self, request: Request) -> str:
        return self.url.rstrip("/") + request.target

    def headers(self, request: Request, stored: Response | None, seconds_left: float) -> dict[str, str]:
        """Return the headers. `Prefer` tells the gateway when this client stops waiting."""
        content_type = {} if request.body is None else {"Content-Type": "application/json"}
        return {
            "Authorization": f"{self.scheme} {self.token}",
            "Prefer": f"wait={max(1, ceil(seconds_left))}",
            **content_type,
            **condition(stored),
        }
