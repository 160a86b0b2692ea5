"""One fault under load: the responses to callers, the recovery time, and what was left behind."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.faults.load import Load, Question, asking
from tests.faults.observed import Held
from tests.faults.outcome import Outcome
from tests.faults.served import Served
from tests.faults.victim import Victim
from tests.faults.waiting import until


@dataclass(slots=True)
class Fault:
    """A fault that lasts until the end of its block, or until `over` is called.

    `outcome`, and `tidy` (seconds from the load's end until nothing was left of it), are there after the block.
    """

    name: str
    load: Load
    began: float
    ended: float | None = None
    outcome: Outcome = field(init=False)
    tidy: float = field(init=False)

    def over(self) -> None:
        """Measure the recovery from now on."""
        self.ended = asyncio.get_running_loop().time()

    @property
    def lasted(self) -> float:
        assert self.ended is not None
        return self.ended - self.began


@asynccontextmanager
async def fault(name: str, gateway: Served, questions: Sequence[Question], victim: Victim) -> AsyncIterator[Fault]:
    """Put the gateway under load during the fault of this block, until responses are correct again.

    Then nothing of the load may be left: no task, place or connection of the gateway's, no query in Druid. Raises
    TimeoutError where something is, or where answers are not right again.
    """
    clock = asyncio.get_running_loop().time
    before = await gateway.held()
    async with asking(gateway.url, questions) as load:
        await load.until_right()
        fault = Fault(name, load, clock())
        yield fault
        if fault.ended is None:
            fault.over()
        await load.until_right()
    stopped = clock()
    fault.outcome = Outcome.of(load.timeline, began=fault.began, ended=stopped if fault.ended is None else fault.ended)
    await nothing_is_left(gateway, before, victim)
    fault.tidy = clock() - stopped


async def nothing_is_left(gateway: Served, before: Held, victim: Victim) -> None:
    """Wait until the gateway uses the same resources as before. Raises TimeoutError with what was left behind."""
    held, queries = before, set[str]()

    async def tidy() -> bool:
        nonlocal held, queries
        held, queries = await gateway.held(), await victim.queries()
        kept = gateway.sockets() == held.idle_connections
        return held.is_idle() and held.tasks == before.tasks and kept and not queries

    try:
        await until(tidy, seconds=30)
    except TimeoutError:
        raise TimeoutError(f"left behind: {held}, before: {before}, queries in Druid: {queries}") from None
