"""A minute of random faults, one after the other. `make soak` takes ten."""

from pathlib import Path
from random import Random

import pytest

from tests.faults.soak import soak
from tests.faults.toxiproxy import Toxiproxy
from tests.faults.victim import Victim

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_minute_of_random_faults_leaves_nothing_wrong(toxic: Toxiproxy, druid: Victim, tmp_path: Path) -> None:
    seed = Random().randrange(1_000_000)
    findings = await soak(
        60, seed, tmp_path, toxic, druid, on_progress=lambda gone, text: print(f"{gone:5.1f} s, {text}")
    )
    print(findings.table())
    assert findings.complaints == []
