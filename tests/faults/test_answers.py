"""Druid's responses are replaced under load: each gets its error, and the next complete one is used."""

from collections.abc import AsyncIterator

import pytest

from tests.faults.between import Between, Spoil, cut_with_a_clean_end, instead, reset_in_mid_body
from tests.faults.conftest import Start, Suffer, fixture
from tests.faults.load import CALLERS
from tests.http.stand_in import error, respond, respond_with

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONGEST = 2_000_000
"""Bytes; more than any response in this module."""
NO_USE = (502, "bad_upstream_answer")
PAGE = b"<html><body>Jetty</body></html>"


@fixture(scope="module")
async def suffer(start: Start, spoiler: Between) -> AsyncIterator[Suffer]:
    async with start(spoiler.url, max_answer_bytes=LONGEST) as suffer:
        yield suffer


@pytest.mark.parametrize(
    ("name", "spoil", "told"),
    [
        ("HTML with 200", instead(respond_with(PAGE, "text/html")), NO_USE),
        ("HTML with 502", instead(respond_with(PAGE, "text/html", 502)), NO_USE),
        ("no JSON", instead(respond_with(b"\xff\xfe\x00")), NO_USE),
        ("nothing", instead(respond_with(b"")), NO_USE),
        ("too long an answer", instead(respond([["x" * 1000]] * (LONGEST // 1000))), (422, "report_too_large")),
        ("cut with a clean end", cut_with_a_clean_end, NO_USE),
        ("reset in mid-body", reset_in_mid_body, NO_USE),
        ("400: too large", instead(error(400, "Resource limit exceeded")), (422, "report_too_large")),
        ("400", instead(error(400)), (500, "internal")),
        ("401", instead(error(401)), NO_USE),
        ("403", instead(error(403)), NO_USE),
        ("429", instead(error(429)), (429, "too_many_requests")),
        ("500", instead(error(500)), NO_USE),
        ("503", instead(error(503)), (503, "upstream_unavailable")),
        ("504", instead(error(504)), (504, "timeout")),
    ],
)
async def test_an_invalid_response(
    suffer: Suffer, spoiler: Between, name: str, spoil: Spoil, told: tuple[int, str]
) -> None:
    async with suffer(name) as fault:
        with spoiler.spoiling(spoil):
            await fault.load.until_seen(told[1], 4 * CALLERS)
    assert fault.outcome.errors.keys() == {told}
    # The response failed and not the broker: it is not excluded, and the next response is used.
    assert fault.outcome.recovery == 0
