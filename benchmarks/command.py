"""The benchmarks as commands: how their errors are shown, and the Druid that they need to be running."""

import os
import sys
from collections.abc import Callable


class BenchError(Exception):
    """The message states what failed and what to do about it."""


def run(main: Callable[[], None]) -> None:
    """Run a benchmark; an error of it ends the process with the message alone."""
    try:
        main()
    except BenchError as error:
        sys.exit(str(error))


def running_druid() -> tuple[str, str]:
    """Return the URLs of the broker and the coordinator that the environment names. Raises BenchError."""
    try:
        return os.environ["DRUID_BROKER_URL"], os.environ["DRUID_COORDINATOR_URL"]
    except KeyError as error:
        raise BenchError(
            f"{error.args[0]} is not set. With the demo's Druid running (make run, or python -m druid start): "
            'eval "$(python -m druid env)"'
        ) from None
