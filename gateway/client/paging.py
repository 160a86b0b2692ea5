"""Reports in pages: each response has a link to the next one (RFC 8288). Pure."""

import re
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from gateway.client.exchange import Operation, Request, Response
from gateway.client.operations import API

T = TypeVar("T")
_NEXT: Final = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The content of a page, and how to request the next one; None after the last one."""

    content: T
    following: "Operation[Page[T]] | None"


def first_page(operation: Operation[T]) -> Operation[Page[T]]:
    """Return the operation as one that also reads the link to the next page."""

    def read(response: Response) -> Page[T]:
        target = _next_target(response)
        content = operation.read(response)
        return Page(content, None if target is None else first_page(replace(operation, request=Request(target))))

    return Operation(operation.request, read)


def _next_target(response: Response) -> str | None:
    found = _NEXT.search(response.headers.get("link", ""))
    if found is None:
        return None
    if not found[1].startswith(f"{API}/"):
        # The credential is for this gateway only.
        raise ValueError("a link to another server")
    return found[1]
