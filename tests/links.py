"""The links of a running gateway's chain, for tests that look into one."""

from typing import Any, TypeVar

from aiohttp import web

from gateway.druid.admission import Admit
from gateway.druid.memory_budget import MemoryBudget
from gateway.druid.single_flight import Coalesce
from gateway.druid.slots import Slots
from gateway.web.context import SERVICES

T = TypeVar("T")


def link(app: web.Application, kind: type[T]) -> T:
    """The link of this class."""
    found: Any = app[SERVICES].druid.first
    while not isinstance(found, kind):
        found = found._next
    return found


def slots(app: web.Application) -> tuple[Slots, Slots]:
    """The ordinary slots and the heavy ones."""
    admit = link(app, Admit)
    return admit._ordinary, admit._heavy


def memory_budget(app: web.Application) -> MemoryBudget:
    return link(app, Coalesce)._budget
