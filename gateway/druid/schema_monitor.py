"""Compares the data sets with Druid at the start and while the gateway runs. A data set with a fault is not served."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Final, Self

import structlog

from gateway.catalog.mismatch import Mismatch, faults
from gateway.catalog.model import Dataset
from gateway.druid.api.coordinator import Coordinator
from gateway.druid.broker_pool import Brokers
from gateway.druid.chain import DruidRequest, DruidResponse, Link
from gateway.druid.periodic import Periodic
from gateway.druid.schema_reader import BrokerNotReached, SchemaNotRead, SchemaReader
from gateway.errors import RETRY_SOON, DataSetUnavailable, DruidUnavailable
from gateway.telemetry.instruments import Instruments

REMIND_EVERY: Final = 300.0
"""Seconds between two log lines about a data set whose columns still cannot be read."""
_RETRY_LATER: Final = {"Retry-After": "60"}
"""An operator has to do something."""

_log = structlog.get_logger(__name__)


class _Watched:
    """One data set. `mismatches` is None until it was compared."""

    def __init__(self, dataset: Dataset, coordinator: Coordinator | None) -> None:
        self.dataset = dataset
        self.mismatches: tuple[Mismatch, ...] | None = None
        self.compared_at = self._failed_at = float("-inf")
        self._reader = SchemaReader(dataset, coordinator)

    @property
    def faults(self) -> tuple[Mismatch, ...]:
        return faults(self.mismatches or ())

    @property
    def is_served(self) -> bool:
        return self.mismatches is not None and not self.faults

    async def compare(self, brokers: Brokers) -> None:
        """Compare now. If Druid cannot be read, the last comparison counts."""
        now = asyncio.get_running_loop().time()
        try:
            found = await self._mismatches(brokers)
        except SchemaNotRead as error:
            if now - self._failed_at >= REMIND_EVERY:
                self._failed_at = now
                _log.warning("schema_not_read", data_set=self.dataset.name, error=str(error))
        except Exception:  # noqa: BLE001 - a fault of ours must not end the comparisons for good
            _log.exception("schema_comparison_failed", data_set=self.dataset.name)
        else:
            self.compared_at, self._failed_at = now, float("-inf")
            self._accept(found)

    async def _mismatches(self, brokers: Brokers) -> tuple[Mismatch, ...]:
        """Ask the same broker as long as it answers: another one may learn of new segments a moment later."""
        *others, last = brokers.answering or brokers
        for broker in others:
            with suppress(BrokerNotReached):
                return await self._reader.mismatches(broker)
        return await self._reader.mismatches(last)

    def _accept(self, found: tuple[Mismatch, ...]) -> None:
        if found == self.mismatches:
            return
        was_served, self.mismatches = self.is_served, found
        names = {"data_set": self.dataset.name, "data_source": self.dataset.data_source}
        if notes := [each.message for each in found if not each.is_fault]:
            _log.info("data_set_notes", **names, notes=notes)
        if self.faults:
            _log.error("data_set_unavailable", **names, error=[each.message for each in self.faults])
        elif not was_served:
            _log.info("data_set_available", **names)


class SchemaMonitor:
    """Compares each data set with Druid every `period` seconds. An async context manager: it does so in the background.

    Entering it waits for the first comparisons, but not for long: a data set that was not compared yet is not served.
    The instruments show the age of the oldest comparison, and which data sets are served.
    """

    def __init__(
        self,
        brokers: Brokers,
        coordinator: Coordinator | None,
        datasets: Iterable[Dataset],
        instruments: Instruments,
        *,
        period: float,
    ) -> None:
        self._watched = {dataset.name: _Watched(dataset, coordinator) for dataset in datasets}
        self._comparing = Periodic([partial(each.compare, brokers) for each in self._watched.values()], period=period)
        instruments.schema_age_seconds.set_function(lambda: self.age)
        for name in self._watched:
            instruments.data_set_available.labels(name).set_function(partial(self._is_served, name))

    async def __aenter__(self) -> Self:
        self._now = asyncio.get_running_loop().time
        await self._comparing.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._comparing.__aexit__(kind, error, trace)

    def _is_served(self, name: str) -> bool:
        return self._watched[name].is_served

    @property
    def age(self) -> float:
        """Seconds since every data set was compared; infinite until each was, once."""
        return max((self._now() - each.compared_at for each in self._watched.values()), default=0.0)

    def unavailable(self) -> Mapping[str, tuple[str, ...]]:
        """Return the names of the data sets that are not served, with the kinds of their faults."""
        return {
            name: tuple(dict.fromkeys(fault.kind for fault in each.faults)) or ("not_compared",)
            for name, each in self._watched.items()
            if not each.is_served
        }

    def serves_any(self) -> bool:
        """Whether at least one data set is served."""
        return not self._watched or any(each.is_served for each in self._watched.values())

    def require(self, dataset: Dataset) -> None:
        """Raises DataSetUnavailable, or DruidUnavailable if the data set was not compared yet."""
        watched = self._watched[dataset.name]
        if watched.mismatches is None:
            raise DruidUnavailable("The data set could not be checked yet. Retry soon.", headers=RETRY_SOON)
        if watched.faults:
            raise DataSetUnavailable(
                "The description of this data set does not match its data. The operator has to correct it.",
                headers=_RETRY_LATER,
            )


class RequireSchema:
    """The first link: no query runs, and no response is returned, while the data set does not match Druid."""

    def __init__(self, monitor: SchemaMonitor, next_link: Link[DruidRequest]) -> None:
        self._monitor = monitor
        self._next = next_link

    async def run(self, request: DruidRequest) -> DruidResponse:
        """Raises as SchemaMonitor.require, and what the next link raises."""
        self._monitor.require(request.query.dataset)
        response = await self._next.run(request)
        try:
            # The columns may have changed while the query was running.
            self._monitor.require(request.query.dataset)
        except DataSetUnavailable:
            response.lease.release()
            raise
        return response
