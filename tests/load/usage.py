"""Processor time from Linux' proc(5)."""

import os
import resource
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def seconds_of(pids: Iterable[int]) -> float:
    """Return the seconds of processor time that these processes have used until now."""
    return sum(_ticks(pid) for pid in pids) / _TICKS


def seconds_of_ended_children() -> float:
    """Return the processor time of this process's children that have ended and been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _ticks(pid: int) -> int:
    # The second field is the command in parentheses, which may contain any character.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    user, system = fields[11:13]
    return int(user) + int(system)
