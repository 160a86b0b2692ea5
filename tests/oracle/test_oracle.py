"""The gateway with Druid and the oracle compute every number independently from the same rows.

ORACLE_REPORTS says how many reports to draw (500), ORACLE_SEED from which seed on (0). They are drawn in lots of 25; a
lot that finds a disagreement names its seed and shrinks the report as far as it can, while the other lots go on. What
was found once stays in found.jsonl, a line each: who asks for whom, why it is there, and the body.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.oracle import clock, disagreement
from tests.oracle.answering import MOST_ROWS
from tests.oracle.oracle import Oracle
from tests.oracle.reports import Data, reports
from tests.serving import D, Gateway, P

LOT: Final = 25
LOTS: Final = -(-int(os.environ.get("ORACLE_REPORTS", "500")) // LOT)
FIRST_SEED: Final = int(os.environ.get("ORACLE_SEED", "0"))

WHO: Final[Mapping[str, Mapping[str, str]]] = {
    "D": {"caller": D, "organization": D},
    "P": {"caller": P, "organization": P},
    "D for its partner P": {"caller": D, "organization": P},
}
UNIQUES: Final = {"sketch": disagreement.SKETCH, "metric": disagreement.METRIC}

# Counting by metric differs only in precision.
HOW: Final = st.sampled_from(("sketch", "sketch", "sketch", "metric"))

_FOUND = Path(__file__).with_name("found.jsonl")
FOUND: Final = [json.loads(line) for line in _FOUND.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def data(oracle: Oracle) -> Data:
    return Data.of(oracle)


@pytest.mark.parametrize("lot", range(FIRST_SEED, FIRST_SEED + LOTS))
def test_the_gateway_and_the_oracle_agree(
    lot: int, gateways: Mapping[str, Gateway], oracle: Oracle, data: Data
) -> None:
    @seed(lot)
    @settings(
        max_examples=LOT,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(body=reports(data), who=st.sampled_from(sorted(WHO)), how=HOW)
    def agree(body: dict[str, Any], who: str, how: str) -> None:
        found = ask_both(body, who, how, gateways, oracle)
        assert not found, f"ORACLE_SEED={lot} ORACLE_REPORTS={LOT} pytest tests/oracle draws this again.\n{found}"

    agree()


@pytest.mark.parametrize("case", FOUND, ids=[case["why"] for case in FOUND])
@pytest.mark.parametrize("how", UNIQUES)
def test_earlier_disagreements_stay_fixed(
    case: Mapping[str, Any], how: str, gateways: Mapping[str, Gateway], oracle: Oracle
) -> None:
    found = ask_both(case["body"], case["who"], how, gateways, oracle)
    assert not found, found


def ask_both(body: dict[str, Any], who: str, how: str, gateways: Mapping[str, Gateway], oracle: Oracle) -> str:
    """Describe the differences between both answers; "" if there are none."""
    asked = WHO[who]
    involved = None if asked["caller"] == asked["organization"] else asked["organization"]
    while True:
        now = int(time() * 1000)
        expected = oracle.answer(body, owner=asked["caller"], involved=involved, now=now)
        if len(expected.candidates) > MOST_ROWS or expected.buckets > 45_000:
            # Close to the limits, which other tests cover.
            return ""
        answer = gateways[how].post(body, **asked)
        if expected.interval is None or int(time() * 1000) // clock.MINUTE == now // clock.MINUTE:
            break
    if answer.status == 200:
        found = list(disagreement.disagreements(body, expected, answer.json, UNIQUES[how]))
        # Most of the second ones come from memory.
        again = gateways[how].post(body, **asked)
        # A relative interval may have moved on.
        if again.body != answer.body and expected.interval is None:
            found.append(f"another answer to the same report: {again.status}, {again.headers.get('cache-status')}")
    else:
        found = [f"status {answer.status}: {answer.body.decode()}"]
    if not found:
        return ""
    shown = "\n".join(found[:10])
    return f"{who}, {how}: {json.dumps(body)}\n{len(found)} disagreements:\n{shown}"
