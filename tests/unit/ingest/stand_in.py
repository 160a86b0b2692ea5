"""A stand-in for Druid's overlord on a real socket, which accepts tasks that never end."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


class StandIn:
    """`requests` are the methods and raw paths that came in. `status` and `body` are the response to any other one."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str | None]] = []
        self.submitted = threading.Event()
        self.status = 500
        self.body = b"{}"
        self.tasks: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                sent = self.rfile.read(length)
                outer.requests.append((self.command, self.path, self.headers.get("Authorization")))
                status, body = outer.response(self.command, self.path, sent)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = respond  # noqa: N815 - the names that http.server calls

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.netloc = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.netloc}"

    def response(self, method: str, path: str, sent: bytes) -> tuple[int, bytes]:
        path = path.removeprefix("/druid/indexer/v1")
        if (method, path) == ("POST", "/task"):
            task = orjson.loads(sent)
            self.tasks.append(described(task["id"], task["spec"]["dataSchema"]["dataSource"]))
            self.submitted.set()
            return 200, orjson.dumps({"task": task["id"]})
        if method == "GET" and path.startswith("/tasks"):
            return 200, orjson.dumps(self.tasks)
        if method == "GET" and re.fullmatch(r"/task/[^/]+/status", path) and self.tasks:
            return 200, orjson.dumps({"status": self.tasks[0]})
        if method == "GET" and path.endswith("/reports"):
            return 404, b""
        if method == "POST" and path.endswith("/shutdown"):
            return 200, b"{}"
        return self.status, self.body

    @contextmanager
    def running(self) -> Iterator["StandIn"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def described(task_id: str, data_source: str = "chat_sessions", **changes: Any) -> dict[str, Any]:
    """Return a task as the overlord describes it."""
    return {
        "id": task_id,
        "groupId": task_id,
        "type": "index_parallel",
        "createdTime": "2026-01-01T00:00:00.000Z",
        "statusCode": "RUNNING",
        "runnerStatusCode": "RUNNING",
        "duration": -1,
        "dataSource": data_source,
        "errorMsg": None,
        **changes,
    }
