"""The gateway and the oracle agree on random reports of data sets that are stored in other ways than the examples.

DATA_SET_REPORTS says how many reports to draw for each. Each is asked by an organization about itself, or about its
partner; half of them are disguised, so that their filters match the rows of everyone.
"""

import json
import os
from time import time
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.live.data_sets.conftest import Served
from tests.oracle import clock, disagreement
from tests.oracle.answering import MOST_ROWS
from tests.oracle.reports import reports

LOT: Final = 25
LOTS: Final = -(-int(os.environ.get("DATA_SET_REPORTS", "100")) // LOT)

Body = dict[str, Any]


@pytest.mark.parametrize("lot", range(LOTS))
def test_the_gateway_and_the_oracle_agree(lot: int, served: Served) -> None:
    own, partner, _ = served.world.owners
    asked = st.sampled_from(((own, own), (own, partner), (partner, partner)))

    @seed(lot)
    @settings(
        max_examples=LOT,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(reports(served.data), asked, st.sampled_from((None, None, 0, 1, 2)))
    def agree(drawn: Body, asked: tuple[str, str], disguise: int | None) -> None:
        body = aligned(drawn, served.world.step)
        if disguise is not None:
            body = disguised(body, served, asked[0])[disguise]
        caller, organization = asked
        involved = None if caller == organization else organization
        while True:
            now = int(time() * 1000)
            expected = served.oracle.answer(body, owner=caller, involved=involved, now=now)
            if len(expected.candidates) > MOST_ROWS or expected.buckets > 45_000:
                # Close to the limits, which other tests cover.
                return
            answer = served.gateway.post(body, caller=caller, organization=organization, dataset=served.world.name)
            if expected.interval is None or int(time() * 1000) // clock.MINUTE == now // clock.MINUTE:
                break
        assert answer.status == 200, f"{json.dumps(body)}\n{answer.body.decode()}"
        found = list(disagreement.disagreements(body, expected, answer.json, disagreement.SKETCH))
        assert not found, f"{asked}: {json.dumps(body)}\n" + "\n".join(found[:10])

    agree()


def aligned(body: Body, step: int) -> Body:
    """Return the body with an interval of whole steps, because the times of the rows are no more precise."""
    if step == 1:
        return body
    zone = body["interval"].get("time_zone", "UTC")
    found = {**body, "interval": _aligned(body["interval"], zone, step)}
    if isinstance(other := body.get("compare", {}).get("to"), dict):
        found["compare"] = {**body["compare"], "to": _aligned(other, zone, step)}
    return found


def _aligned(interval: Body, zone: str, step: int) -> Body:
    if "start" not in interval:
        # A relative interval consists of whole units, and now is a whole minute.
        return interval
    start = clock.moment(interval["start"], zone) // step * step
    end = max(start + step, clock.moment(interval["end"], zone, end=True) // step * step)
    return {**interval, "start": _iso(start), "end": _iso(end)}


def _iso(at: int) -> str:
    return clock.shown(at, "UTC").replace("+00:00", "Z")


def disguised(body: Body, served: Served, caller: str) -> list[Body]:
    """Return reports whose filters match every row, or those of everyone else."""
    given = body.get("filters") or []
    numeric = served.world.owner_dimension in served.world.columns.numbers
    value = int(caller) if numeric else caller
    own = {"type": "selector", "dimension": served.world.owner_dimension, "value": value}
    one = ({"type": "and", "fields": given} if isinstance(given, list) else given) if given else own
    not_own = {"type": "not", "field": own}
    everyone = {"type": "or", "fields": [own, not_own]}
    owners = {"type": "count", "name": "everywhere", "filter": everyone}
    return [
        body | {"filters": {"type": "or", "fields": [one, {"type": "not", "field": one}]}},
        body | {"filters": not_own},
        {key: body[key] for key in ("interval", "granularity", "group_by") if key in body}
        | {"filters": everyone, "aggregations": [owners]},
    ]


def test_a_filter_on_the_owner_itself_leaves_no_row_out(served: Served) -> None:
    """With a double, Druid left out the segments of an organization with a number: it compares ranges of texts."""
    own = served.world.owners[0]
    value = int(own) if served.world.owner_dimension in served.world.columns.numbers else own
    owner = {"dimension": served.world.owner_dimension}
    count = sum(row[served.world.columns.owner] == own for row in served.world.original)
    whole = {"interval": {"start": "2018-01-01", "end": "2021-01-01"}, "aggregations": [{"type": "count"}]}
    for asked in (
        {"type": "selector", **owner, "value": value},
        {"type": "in", **owner, "values": [value, None]},
        {"type": "bound", **owner, "lower": value, "upper": value},
        {"type": "not", "field": {"type": "not", "field": {"type": "selector", **owner, "value": value}}},
        {"type": "not", "field": {"type": "selector", **owner, "value": None}},
    ):
        answer = served.gateway.post(whole | {"filters": asked}, organization=own, dataset=served.world.name)
        assert [row[1] for row in answer.data] == [count], asked


def test_no_answer_names_another_organization(served: Served) -> None:
    """Grouped by the tenant's own column: only the caller's organization is there."""
    dimension = served.world.owner_dimension
    whole = {"start": "2018-01-01", "end": "2021-01-01"}
    body = {"interval": whole, "group_by": [dimension], "aggregations": [{"type": "count"}]}
    for owner in served.world.owners:
        answer = served.gateway.post(body, organization=owner, dataset=served.world.name)
        assert [str(row[1]) for row in answer.data] == [owner]
        assert answer.data[0][2] == sum(row[served.world.columns.owner] == owner for row in served.world.original)
