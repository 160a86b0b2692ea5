"""Logs that something fails which is done again and again, without a line for each attempt."""

from typing import Final

import structlog

_log = structlog.get_logger(__name__)

REMIND_EVERY: Final = 300.0
"""Seconds between two log lines about an outage that lasts."""


class Outage:
    """Logs a warning at the first failure, which may be a restart, an error every few minutes after it, and the end.

    `failed` and `again` are the log events. All times are those of one clock.
    """

    def __init__(self, data_source: str, *, failed: str, again: str) -> None:
        self._data_source = data_source
        self._failed = failed
        self._again = again
        self._since: float | None = None
        self._reminded_at = float("-inf")

    def failure(self, error: str, now: float, *, age: float, traceback: bool = False) -> None:
        """Log an attempt that failed, unless one was logged recently. `age` is the age of what is known."""
        log = _log.error
        if self._since is None:
            self._since, log = now, _log.warning
        elif now - self._reminded_at < REMIND_EVERY:
            return
        self._reminded_at = now
        log(self._failed, data_source=self._data_source, error=error, age=round(age, 1), exc_info=traceback)

    def success(self, now: float) -> None:
        """Log the end of an outage, if there was one."""
        if self._since is not None:
            _log.info(self._again, data_source=self._data_source, away=round(now - self._since, 1))
            self._since = None
