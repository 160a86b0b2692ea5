# ruff: noqa: INP001 a file to run, in a folder that is no package
"""Realistic visitor sessions, the same for the same seed, as JSON lines.

    python ingestion-specs/samples/visitor_sessions.py --sessions 20000 --organizations 12 --seed 1 --out FILE

Each session is one row. The organizations, their partners, the period and the hours of the day are those of
chat_sessions.py. README.md says what the rows mean.
Standard library only: this file and generator_common.py can be copied to any machine and run there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Literal, TypedDict

from generator_common import Organization, made_up_id, number_by, run, shares_by_day, timestamps, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

DeviceType = Literal["desktop", "tablet", "mobile"]


class Row(TypedDict):
    """One line: a visitor session. Timestamps are UTC with milliseconds, durations seconds with three decimals."""

    timestamp: str
    owner_organization_id: str
    involved_organization_ids: list[str]
    visitor_id: str
    device_type: DeviceType | None
    browser_name: str | None
    browser_version: str | None
    country: str | None
    city: str | None
    chat_session_ids: list[str]
    page_view_count: int
    distinct_url_count: int
    duration: float | None


def rows(count: int, owners: tuple[Organization, ...], seed: int) -> Iterator[Row]:
    """So many sessions in the order of their start."""
    rng = Random(f"{seed}/visitor sessions")  # noqa: S311 made-up data, not secrets
    visitors = {owner.organization_id: _Visitors() for owner in owners}
    # Zipf's law, as for chat sessions.
    sizes = list(accumulate(1 / rank for rank in range(1, len(owners) + 1)))
    for day, day_count in shares_by_day(count):
        for timestamp in timestamps(rng, day, day_count):
            [owner] = rng.choices(owners, cum_weights=sizes)
            yield _row(rng, timestamp, day, owner, visitors[owner.organization_id].pick(rng))


@dataclass(frozen=True, slots=True)
class _Browser:
    """`versions`: since when each was the newest, in order. None: it does not tell."""

    name: str | None
    device_type: DeviceType | None
    share: int
    versions: tuple[tuple[date, str], ...] = ()


_EARLIER = date(2018, 1, 1)
_CHROME = (
    (_EARLIER, "71.0.3578.98"),
    (date(2019, 1, 29), "72.0.3626.121"),
    (date(2019, 3, 12), "73.0.3683.103"),
    (date(2019, 4, 23), "74.0.3729.169"),
    (date(2019, 6, 4), "75.0.3770.142"),
    (date(2019, 7, 30), "76.0.3809.132"),
    (date(2019, 9, 10), "77.0.3865.120"),
    (date(2019, 10, 22), "78.0.3904.108"),
    (date(2019, 12, 10), "79.0.3945.88"),
)
_FIREFOX = (
    (_EARLIER, "64.0"),
    (date(2019, 1, 29), "65.0"),
    (date(2019, 3, 19), "66.0"),
    (date(2019, 5, 21), "67.0"),
    (date(2019, 7, 9), "68.0"),
    (date(2019, 9, 3), "69.0"),
    (date(2019, 10, 22), "70.0"),
    (date(2019, 12, 3), "71.0"),
    (date(2020, 1, 7), "72.0"),
)
_SAFARI = ((_EARLIER, "12.0"), (date(2019, 3, 25), "12.1"), (date(2019, 9, 19), "13.0"))
_SAMSUNG = ((_EARLIER, "8.2"), (date(2019, 4, 8), "9.2"), (date(2019, 9, 2), "10.1"))

_BROWSERS = (
    _Browser("Chrome", "desktop", 300, _CHROME),
    _Browser("Firefox", "desktop", 75, _FIREFOX),
    _Browser("Safari", "desktop", 60, _SAFARI),
    _Browser("Edge", "desktop", 40, ((_EARLIER, "17.17134"), (date(2019, 1, 15), "18.17763"))),
    _Browser("Internet Explorer", "desktop", 30, ((_EARLIER, "11.0"),)),
    _Browser("Chrome", "mobile", 190, _CHROME),
    _Browser("Safari", "mobile", 170, _SAFARI),
    _Browser("Samsung Internet", "mobile", 45, _SAMSUNG),
    _Browser("Firefox", "mobile", 8, _FIREFOX),
    _Browser("Safari", "tablet", 50, _SAFARI),
    _Browser("Chrome", "tablet", 20, _CHROME),
    # A browser of its own making, and one that keeps everything to itself.
    _Browser("Facebook", "mobile", 7),
    _Browser(None, None, 5),
)
_BROWSER_SHARES = list(accumulate(browser.share for browser in _BROWSERS))

_Place = tuple[str | None, str | None]
_PLACES: tuple[tuple[_Place, int], ...] = (
    (("FI", "Helsinki"), 200),
    (("FI", "Espoo"), 80),
    (("FI", "Tampere"), 75),
    (("FI", "Vantaa"), 60),
    (("FI", "Oulu"), 55),
    (("FI", "Turku"), 50),
    (("FI", "Jyväskylä"), 40),
    (("FI", "Hämeenlinna"), 15),
    (("FI", None), 60),
    (("SE", "Stockholm"), 70),
    (("SE", "Göteborg"), 30),
    (("SE", "Malmö"), 20),
    (("SE", None), 15),
    (("EE", "Tallinn"), 35),
    (("EE", "Tartu"), 12),
    (("NO", "Oslo"), 25),
    (("DK", "København"), 20),
    (("DE", "Berlin"), 20),
    (("DE", "München"), 12),
    (("GB", "London"), 25),
    (("GB", "Cambridge"), 5),
    (("US", "New York"), 12),
    (("US", "Cambridge"), 4),
    (("FR", "Saint-Étienne"), 3),
    (("AE", None), 2),
    ((None, None), 30),
)
_PLACE_SHARES = list(accumulate(share for _, share in _PLACES))


@dataclass(frozen=True, slots=True)
class _Visitor:
    visitor_id: str
    browser: _Browser
    place: _Place


class _Visitors:
    """An organization's visitors, some of whom come back, with the browser and the place they had."""

    def __init__(self) -> None:
        self._recent: deque[_Visitor] = deque(maxlen=500)

    def pick(self, rng: Random) -> _Visitor:
        if self._recent and rng.random() < 0.4:
            return self._recent[int(rng.random() * len(self._recent))]
        [browser] = rng.choices(_BROWSERS, cum_weights=_BROWSER_SHARES)
        [(place, _)] = rng.choices(_PLACES, cum_weights=_PLACE_SHARES)
        visitor = _Visitor(made_up_id(rng), browser, place)
        self._recent.append(visitor)
        return visitor


def _row(rng: Random, timestamp: str, day: date, owner: Organization, visitor: _Visitor) -> Row:
    pages = 1 + int(rng.expovariate(0.25)) if rng.random() < 0.65 else 1
    chats = [made_up_id(rng) for _ in range(number_by(rng, (82, 14, 3, 1)))]
    country, city = visitor.place
    return {
        "timestamp": timestamp,
        "owner_organization_id": owner.organization_id,
        "involved_organization_ids": _involved(rng, owner, len(chats)),
        "visitor_id": visitor.visitor_id,
        "device_type": visitor.browser.device_type,
        "browser_name": visitor.browser.name,
        "browser_version": _version(rng, visitor.browser, day),
        "country": country,
        "city": city,
        "chat_session_ids": chats,
        "page_view_count": pages,
        "distinct_url_count": 1 + sum(rng.random() < 0.7 for _ in range(pages - 1)),
        "duration": _duration(rng, pages + 3 * len(chats)),
    }


def _involved(rng: Random, owner: Organization, chats: int) -> list[str]:
    """The owner, and a partner of its in every third chat."""
    partners = [rng.choice(owner.partner_ids) for _ in range(chats) if owner.partner_ids and rng.random() < 1 / 3]
    return unique([owner.organization_id, *partners])


def _version(rng: Random, browser: _Browser, day: date) -> str | None:
    """The newest one of the day, or, one time in four, that before it."""
    known = [version for since, version in browser.versions if since <= day]
    if not known:
        return None
    return known[-2] if len(known) > 1 and rng.random() < 0.25 else known[-1]


def _duration(rng: Random, stays: int) -> float | None:
    """Seconds, where `stays` are pages and what takes as long; null where the visitor's leaving went unnoticed."""
    if rng.random() < 0.03:
        return None
    return sum(int(rng.lognormvariate(9.9, 1.0)) for _ in range(stays)) / 1000


if __name__ == "__main__":
    run(__doc__, rows)
