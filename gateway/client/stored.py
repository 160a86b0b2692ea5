"""Responses that are kept with their ETag, so that the gateway need not compute them again while no data changes."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock

from gateway.client.exchange import Outcome, Request, Response


class StoredResponses:
    """Keeps the most recently used responses, up to a number of bytes in all. Threads can share it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._responses: OrderedDict[str, Response] = OrderedDict()
        self._lock = Lock()

    def get(self, request: Request) -> Response | None:
        if request.body is not None:
            return None
        with self._lock:
            found = self._responses.get(request.target)
            if found is not None:
                self._responses.move_to_end(request.target)
            return found

    def resolve(self, request: Request, stored: Response | None, outcome: Outcome) -> Outcome:
        """Store a response with an ETag; return the stored one in place of a 304."""
        if not isinstance(outcome, Response):
            return outcome
        if stored is not None and outcome.status == 304:
            return replace(stored, headers={**stored.headers, **outcome.headers})
        if request.body is None and outcome.status == 200 and "etag" in outcome.headers:
            self._put(request.target, outcome)
        return outcome

    def _put(self, target: str, response: Response) -> None:
        with self._lock:
            self._drop(target)
            if len(response.body) > self._max_bytes:
                return
            self._responses[target] = response
            self._bytes += len(response.body)
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._responses)))

    def _drop(self, target: str) -> None:
        dropped = self._responses.pop(target, None)
        if dropped is not None:
            self._bytes -= len(dropped.body)


def condition(stored: Response | None) -> Mapping[str, str]:
    """Return the header that asks for the response only if it has changed."""
    return {} if stored is None else {"If-None-Match": stored.headers["etag"]}
