"""The link that returns complete responses only, and its null variant. The coordinator and the broker are stand-ins."""

import asyncio
import math
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from gateway.druid.api.broker import Broker, NoAnswer
from gateway.druid.api.coordinator import Coordinator
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.broker_pool import Brokers
from gateway.druid.chain import DruidResponse, RoutedRequest
from gateway.druid.completeness.availability import Availability
from gateway.druid.completeness.check import CompletenessCheck
from gateway.druid.completeness.off import CompletenessOff
from gateway.druid.completeness.realtime_monitor import RealtimeMonitor
from gateway.druid.intervals import TimeRange
from gateway.errors import DataUnavailable
from tests.serving import listening
from tests.unit.druid.described import DAY_ONE, numbered
from tests.unit.druid.links import DATASET, INSTRUMENTS, NextLink, query, requested, responded, responding, routed

DAY = TimeRange.parse(DAY_ONE)
BEFORE = TimeRange(-1000, 0)


@dataclass(slots=True)
class Druid:
    """Describes these segments as the coordinator, and serves these partitions as a broker."""

    segments: list[Any] | None
    served: list[int] = field(default_factory=list)
    responds: bool = True
    checks: int = 0

    async def list_segments(self, _: web.Request) -> web.Response:
        return web.json_response(self.segments, status=500 if self.segments is None else 200)

    async def list_candidates(self, request: web.Request) -> web.Response:
        if request.query["intervals"].startswith("0001-"):
            return web.json_response([])
        self.checks += 1
        if not self.responds:
            assert request.transport is not None
            request.transport.abort()
        here = {"interval": DAY_ONE, "version": "1", "locations": [{"type": "historical"}]}
        return web.json_response([here | {"partitionNumber": each} for each in self.served])


@dataclass(frozen=True, slots=True)
class Checked:
    """Runs queries on the day through the link, in front of `next_link`."""

    check: CompletenessCheck
    broker: Broker

    async def run(self) -> DruidResponse:
        return await self.check.run(routed(requested(query(intervals=DAY_ONE)), self.broker))


@asynccontextmanager
async def checking(druid: Druid, next_link: NextLink[RoutedRequest]) -> AsyncIterator[Checked]:
    app = web.Application()
    metadata = "/druid/coordinator/v1/metadata"
    app.router.add_get(f"{metadata}/segments", druid.list_segments)
    app.router.add_post(f"{metadata}/datasources/{DATASET.data_source}/segments", druid.list_segments)
    app.router.add_get(f"/druid/v2/datasources/{DATASET.data_source}/candidates", druid.list_candidates)
    async with listening(app) as url:
        broker = Broker(ServiceUrl(url))
        sources, i = [DATASET.data_source], INSTRUMENTS
        async with (
            Brokers([broker], i.broker_up) as brokers,
            Coordinator([ServiceUrl(url)]) as coordinator,
            Availability(coordinator, sources, period=60, max_age=300, age=i.coverage_age_seconds) as availability,
            RealtimeMonitor(brokers, availability, period=60, max_age=300, age=i.realtime_age_seconds) as realtime,
        ):
            yield Checked(CompletenessCheck(availability, realtime, next_link), broker)


CORE = numbered(0, core=1)


async def test_druid_is_asked_for_a_moment_without_data_and_for_all_uncovered_time() -> None:
    next_link = responding(7)
    async with checking(Druid([CORE]), next_link) as checked:
        assert (await checked.run()).rows == [7]
    [request] = next_link.requests
    probe, asked = request.query.native["intervals"]
    assert (probe[:10], asked) == ("1000-01-01", DAY_ONE)
    assert request.query.native["context"]["uncoveredIntervalsLimit"] == 100
    assert request.broker is checked.broker


async def test_several_intervals_of_a_query_stay_as_they_are() -> None:
    next_link = responding(7)
    async with checking(Druid([CORE]), next_link) as checked:
        later = "1970-02-01T00:00:00.000Z/1970-02-02T00:00:00.000Z"
        await checked.check.run(routed(requested(query(intervals=[DAY_ONE, later])), checked.broker))
    assert next_link.requests[0].query.native["intervals"][1:] == [DAY_ONE, later]


@pytest.mark.parametrize(("uncovered", "is_complete"), [(BEFORE, True), (TimeRange(0, 1), False)])
async def test_uncovered_time_is_missing_only_if_it_has_data(uncovered: TimeRange, is_complete: bool) -> None:  # noqa: FBT001 - a case
    async with checking(Druid([CORE]), responding(7, uncovered=(uncovered,))) as checked:
        if is_complete:
            assert (await checked.run()).rows == [7]
        else:
            with pytest.raises(DataUnavailable):
                await checked.run()


@pytest.mark.parametrize(("served", "is_complete"), [([0], True), ([], False)])
async def test_a_broker_that_does_not_list_uncovered_time_is_asked_again_if_it_serves_everything(
    served: list[int],
    is_complete: bool,  # noqa: FBT001 - a case
) -> None:
    async def respond(request: RoutedRequest) -> DruidResponse:
        return responded([len(next_link.requests)], request.lease, None if len(next_link.requests) == 1 else ())

    next_link = NextLink(respond)
    async with checking(Druid([CORE], served), next_link) as checked:
        if is_complete:
            assert (await checked.run()).rows == [2]
            assert {request.broker for request in next_link.requests} == {checked.broker}
        else:
            with pytest.raises(DataUnavailable):
                await checked.run()
            assert len(next_link.requests) == 1


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_broker_that_never_lists_uncovered_time_must_serve_everything_before_and_after_the_query(
    is_lost: bool,  # noqa: FBT001 - a case
) -> None:
    druid = Druid([CORE], served=[0])

    async def respond(request: RoutedRequest) -> DruidResponse:
        if is_lost and len(next_link.requests) == 2:
            druid.served = []
        return responded([len(next_link.requests)], request.lease, None)

    next_link = NextLink(respond)
    async with checking(druid, next_link) as checked:
        if is_lost:
            with pytest.raises(DataUnavailable):
                await checked.run()
        else:
            assert (await checked.run()).rows == [2]
    assert druid.checks == 2


async def test_the_rows_of_a_response_that_does_not_count_are_dropped_before_the_next_one() -> None:
    class Rows(list[Any]):
        """A list that can be referred to weakly."""

    dropped: list[bool] = []

    async def respond(request: RoutedRequest) -> DruidResponse:
        if dropped_rows:
            dropped.append(dropped_rows[0]() is None)
            return responded([7], request.lease)
        rows = Rows([3])
        dropped_rows.append(weakref.ref(rows))
        return responded([], request.lease, None)._replace(rows=rows)

    dropped_rows: list[weakref.ref[Rows]] = []
    async with checking(Druid([CORE], served=[0]), NextLink(respond)) as checked:
        assert (await checked.run()).rows == [7]
    assert dropped == [True]


async def test_appended_segments_are_checked_before_and_after_the_query() -> None:
    druid = Druid([numbered(0), numbered(1)], served=[0])
    next_link = responding(7)
    async with checking(druid, next_link) as checked:
        with pytest.raises(DataUnavailable):
            await checked.run()
        assert next_link.requests == []
        druid.served = [0, 1]
        assert (await checked.run()).rows == [7]

        async def lose_one(request: RoutedRequest) -> DruidResponse:
            druid.served = [1]
            return responded([7], request.lease)

        next_link.respond = lose_one
        with pytest.raises(DataUnavailable):
            await checked.run()


async def test_a_broker_that_does_not_respond_before_the_query_leaves_it_to_another_one() -> None:
    druid = Druid([numbered(0), numbered(1)], served=[0, 1], responds=False)
    next_link = responding(7)
    async with checking(druid, next_link) as checked:
        with pytest.raises(NoAnswer):
            await checked.run()
    assert next_link.requests == []


async def test_a_broker_that_does_not_respond_after_the_query_makes_it_uncertain() -> None:
    druid = Druid([numbered(0), numbered(1)], served=[0, 1])

    async def respond(request: RoutedRequest) -> DruidResponse:
        druid.responds = False
        return responded([7], request.lease)

    async with checking(druid, NextLink(respond)) as checked:
        with pytest.raises(DataUnavailable):
            await checked.run()


async def test_without_knowledge_of_the_data_nothing_is_sent() -> None:
    next_link = responding(7)
    async with checking(Druid(None), next_link) as checked:
        assert not checked.check.knows_any()
        assert checked.check.unknown() == (DATASET.data_source,)
        with pytest.raises(DataUnavailable):
            await checked.run()
    assert next_link.requests == []


async def test_the_time_of_the_checks_counts_as_waiting_for_druid() -> None:
    async with checking(Druid([CORE]), responding(7)) as checked:
        before = asyncio.get_running_loop().time()
        assert (await checked.run()).received_at >= before


async def test_switched_off_the_link_changes_nothing_and_says_so() -> None:
    next_link = responding(7, uncovered=(DAY,))
    off = CompletenessOff((INSTRUMENTS.coverage_age_seconds,), next_link)
    request = routed(requested())
    assert (await off.run(request)).rows == [7]
    assert next_link.requests == [request]
    assert (off.state, off.unknown(), off.knows_any()) == ("off", (), True)
    assert math.isnan(INSTRUMENTS.coverage_age_seconds._value.get())
