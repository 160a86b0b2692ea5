"""Writing log lines in the background, so that no request waits for whatever reads them."""

import atexit
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Final

import structlog

MOST_LINES: Final = 20_000
"""Lines that wait to be written. If the reader of the log falls further behind, the oldest are dropped and counted."""
_PAUSE: Final = 0.05
"""Seconds for which lines are collected: one write of many lines costs little more than one of a single line."""
_LAST_SECONDS: Final = 2.0
"""The time limit for writing what is left when the process ends."""

_log = structlog.get_logger(__name__)


class LogWriter:
    """Writes lines to a file descriptor. A structlog logger, whose methods for the levels are all the same."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._has_lines = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        # Threads do not survive a fork: the child starts its own with its first line.
        os.register_at_fork(after_in_child=self._start_over)
        atexit.register(self.flush)

    def msg(self, line: bytes | str) -> None:
        """Write a line soon."""
        if len(self._lines) >= MOST_LINES:
            self._dropped += 1
            with suppress(IndexError):  # The thread has written it in the meantime.
                self._lines.popleft()
        self._lines.append(line.encode(errors="backslashreplace") if isinstance(line, str) else line)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_forever, name="log", daemon=True)
            self._thread.start()
        if not self._has_lines.is_set():
            self._has_lines.set()

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg

    def flush(self) -> None:
        """Write the lines now, unless the reader of the log keeps the thread waiting."""
        if self._writing.acquire(timeout=_LAST_SECONDS):
            try:
                self._write()
            finally:
                self._writing.release()

    def _write_forever(self) -> None:
        while True:
            self._has_lines.wait()
            time.sleep(_PAUSE)
            self._has_lines.clear()
            with self._writing:
                self._write()
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                _log.error("log_lines_dropped", lines=dropped)

    def _write(self) -> None:
        lines = []
        with suppress(IndexError):
            while True:
                lines.append(self._lines.popleft())
        left = memoryview(b"".join(line + b"\n" for line in lines))
        with suppress(OSError):  # The reader of the log has closed it.
            while left:
                left = left[os.write(self._descriptor, left) :]

    def _start_over(self) -> None:
        self._lines.clear()
        self._writing, self._has_lines, self._thread = threading.Lock(), threading.Event(), None
