"""Reads what Druid has of a data set's data source, and remembers what it read of segments that cannot change."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from gateway.catalog.compare import compare
from gateway.catalog.data_source import DataSource, Schema, UnknownDataSource, merge
from gateway.catalog.mismatch import Mismatch
from gateway.catalog.model import Dataset
from gateway.druid.api.broker import Broker, NoAnswer
from gateway.druid.api.coordinator import Coordinator
from gateway.druid.api.http import ServiceError, describe
from gateway.druid.api.inspection import rows_with_several, rows_without, schema_of, values_of
from gateway.druid.completeness.existing_data import read_existing_data
from gateway.druid.intervals import ALWAYS
from gateway.druid.segments import Segment
from gateway.errors import InvalidDruidResponse

BATCH: Final = 200
"""Segments in one query: about 0.1 s of one core of Druid."""
REQUEST_SECONDS: Final = 10.0
"""The time limit of each request."""


class SchemaNotRead(Exception):
    """Druid did not say what it has. The text says why, for operators."""


class BrokerNotReached(SchemaNotRead):
    """Another broker may respond."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """What was read of some segments together."""

    schema: Schema
    rows_without: Mapping[str, int]
    rows_with_several_owners: int
    owners: frozenset[str]


class SchemaReader:
    """Reads about one data set. The first `read` asks about every segment, later ones only about new ones.

    Segments of streaming tasks are read each time. All segments of a batch are read again when one of them is gone.
    """

    def __init__(self, dataset: Dataset, coordinator: Coordinator | None) -> None:
        self._dataset = dataset
        self._coordinator = coordinator
        self._known: dict[frozenset[Segment], _Batch] = {}
        self._has_had_rows = False
        self._never_null = [name for name in (dataset.tenant.column, dataset.count_metric) if name is not None]

    async def mismatches(self, broker: Broker) -> tuple[Mismatch, ...]:
        """Return every difference between the data set and what Druid has now. Raises SchemaNotRead."""
        return compare(self._dataset, await self.read(broker))

    async def read(self, broker: Broker) -> DataSource | UnknownDataSource:
        """Return what Druid has now. Raises SchemaNotRead."""
        try:
            batches = await self._batches(broker)
            if not batches:
                return await self._without_rows(broker)
            self._has_had_rows = True
            return await self._data_source(batches)
        except NoAnswer as error:
            reason = describe(error.__cause__ or error, tls=broker.name.startswith("https"))
            raise BrokerNotReached(f"the broker {broker.name} cannot be reached: {reason}") from error
        except ServiceError as error:
            raise SchemaNotRead(str(error)) from error
        except InvalidDruidResponse as error:
            raise SchemaNotRead(str(error.__cause__ or error)) from error

    async def _batches(self, broker: Broker) -> list[_Batch]:
        served = await broker.candidates(self._dataset.data_source, ALWAYS, _deadline())
        complete = {each.segment for each in served if each.servers and not each.tasks}
        in_tasks = [each.segment for each in served if each.tasks]
        self._known = {segments: batch for segments, batch in self._known.items() if segments <= complete}
        unread = complete.difference(*self._known)
        for segments in _in_batches(sorted(unread, reverse=True)):
            self._known[frozenset(segments)] = await self._read(broker, segments)
        return [*self._known.values(), *[await self._read(broker, each) for each in _in_batches(in_tasks)]]

    async def _read(self, broker: Broker, segments: tuple[Segment, ...]) -> _Batch:
        data_source, owner = self._dataset.data_source, self._dataset.tenant.column
        schema = await schema_of(broker, data_source, segments, _deadline())
        several = 0
        if (column := schema.columns.get(owner)) is not None and column.multi_valued:
            several = await rows_with_several(broker, data_source, segments, owner, _deadline())
        missing = await rows_without(broker, data_source, segments, self._never_null, _deadline())
        owners = await values_of(broker, data_source, segments, owner, _deadline()) if owner in schema.columns else []
        return _Batch(schema, missing, several, frozenset(each for each in owners if each))

    async def _data_source(self, batches: list[_Batch]) -> DataSource:
        return DataSource(
            merge(batch.schema for batch in batches),
            {name: sum(batch.rows_without[name] for batch in batches) for name in self._never_null},
            sum(batch.rows_with_several_owners for batch in batches),
            frozenset().union(*(batch.owners for batch in batches)),
            await self._lookups(),
        )

    async def _lookups(self) -> Mapping[str, bool] | None:
        if self._coordinator is None or not any(each.lookup for each in self._dataset.dimensions):
            return None
        return await self._coordinator.lookups()

    async def _without_rows(self, broker: Broker) -> DataSource | UnknownDataSource:
        """Tell an empty data source from one that does not exist, and from one that no server serves at the moment."""
        name = self._dataset.data_source
        if self._coordinator is None:
            if self._has_had_rows:
                return DataSource(None)
            return UnknownDataSource(tuple(await broker.data_sources(_deadline())), is_certain=False)
        known = await self._coordinator.data_sources()
        if name not in known:
            # Druid does not list a stream of which nothing was published; its tasks may be starting again.
            return DataSource(None) if self._has_had_rows else UnknownDataSource(tuple(known), is_certain=True)
        if (await read_existing_data(name, self._coordinator.used_segments(name))).covered:
            raise SchemaNotRead(f"no server serves the segments of {name!r} at the moment")
        return DataSource(None)


def _in_batches(segments: Iterable[Segment]) -> Iterable[tuple[Segment, ...]]:
    rest = iter(segments)
    while batch := tuple(islice(rest, BATCH)):
        yield batch


def _deadline() -> float:
    return asyncio.get_running_loop().time() + REQUEST_SECONDS
