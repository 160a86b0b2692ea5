# ruff: noqa: INP001 modules of programs to run, in a folder that is no package
"""What the generators of sample data share: organizations and their users, time, random values, and the command line.

Standard library only. The generators import it from their own folder.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import TextIOWrapper
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TextIO, TypeVar
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Line = Mapping[str, object]

DOCUMENTED_ORGANIZATION_ID = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"
"""The organization of the public contract's example request."""
PARTNER_ORGANIZATION_ID = "c7d0f6a4-1c5e-11e5-9f3c-6c4008adf7e8"
"""An organization whose users chat in the documented organization's sessions."""

FIRST_DAY = date(2018, 12, 15)
END_DAY = date(2020, 1, 15)
"""The first day that has no sessions any more, in TIME_ZONE."""
TIME_ZONE = ZoneInfo("Europe/Helsinki")

_HOURS = (2, 1, 1, 1, 1, 2, 4, 10, 25, 45, 55, 60, 55, 55, 58, 55, 48, 38, 30, 26, 22, 16, 10, 5)
_WEEKDAYS = (12, 11, 11, 11, 10, 6, 5)  # from Monday

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class User:
    user_id: str
    organization_id: str
    team_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Organization:
    """`partner_ids`: whose users chat in its sessions, too. Without `tracks_orders` orders and sales are null."""

    organization_id: str
    room_ids: tuple[str, ...]
    users: tuple[User, ...]
    partner_ids: tuple[str, ...]
    tracks_orders: bool


def organizations(count: int, seed: int) -> tuple[Organization, ...]:
    """The documented organization, its partner, then made-up ones, in falling order of size."""
    ids = [_organization_id(index, seed) for index in range(count)]
    return tuple(_organization(index, ids, seed) for index in range(count))


def _organization_id(index: int, seed: int) -> str:
    documented = (DOCUMENTED_ORGANIZATION_ID, PARTNER_ORGANIZATION_ID)
    return documented[index] if index < len(documented) else made_up_id(Random(f"{seed}/organization {index}/id"))  # noqa: S311


def _organization(index: int, ids: list[str], seed: int) -> Organization:
    rng = Random(f"{seed}/organization {index}")  # noqa: S311
    teams = [made_up_id(rng) for _ in range(max(1, 6 - index))]
    users = tuple(
        User(made_up_id(rng), ids[index], tuple(rng.sample(teams, min(len(teams), number_by(rng, (15, 70, 15))))))
        for _ in range(max(3, 40 // (index + 1)))
    )
    rooms = tuple(made_up_id(rng) for _ in range(max(3, 8 - index)))
    others = [other for number, other in enumerate(ids) if number not in (index, 1)]
    partners = [PARTNER_ORGANIZATION_ID] if index == 0 and len(ids) > 1 else []
    partners += rng.sample(others, min(len(others), number_by(rng, (40, 40, 20))))
    # The two documented ones sell; every fourth of the others doesn't say.
    return Organization(ids[index], rooms, users, tuple(partners), tracks_orders=index % 4 != 3)


def shares_by_day(count: int) -> Iterator[tuple[date, int]]:
    """Shares so many sessions among the days of the period, by weekday."""
    days = [FIRST_DAY + timedelta(number) for number in range((END_DAY - FIRST_DAY).days)]
    weights = list(accumulate(_WEEKDAYS[day.weekday()] for day in days))
    given = 0
    for day, weight in zip(days, weights, strict=True):
        due = count * weight // weights[-1]
        yield day, due - given
        given = due


def timestamps(rng: Random, day: date, count: int) -> list[str]:
    """Moments of a local day (which has 23, 24 or 25 hours), most of them in daytime, in order, as UTC."""
    start, end = (datetime(d.year, d.month, d.day, tzinfo=TIME_ZONE).astimezone(UTC) for d in (day, day + timedelta(1)))
    seconds = int((end - start).total_seconds())
    moments = sorted(
        (hour * 3_600_000 + int(rng.random() * 3_600_000)) % (seconds * 1000)
        for hour in rng.choices(range(24), _HOURS, k=count)
    )
    return [
        (start + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for moment in moments
    ]


def number_by(rng: Random, weights: tuple[int, ...]) -> int:
    [number] = rng.choices(range(len(weights)), weights)
    return number


def made_up_id(rng: Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def unique(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))


def write_rows(rows: Iterable[Line], out: TextIO) -> int:
    encode = json.JSONEncoder(separators=(",", ":")).encode
    count = 0
    for row in rows:
        out.write(encode(row) + "\n")
        count += 1
    return count


@contextmanager
def open_file(path: Path) -> Iterator[TextIO]:
    if path.suffix != ".gz":
        with path.open("w", encoding="utf-8") as out:
            yield out
        return
    # No time stamp or name in the header: the same seed makes the same bytes.
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=5, fileobj=file, mtime=0) as packed,
        TextIOWrapper(packed, encoding="utf-8") as out,
    ):
        yield out


def run(description: str | None, rows: Callable[[int, tuple[Organization, ...], int], Iterable[Line]]) -> None:
    """The command line: `rows` makes the rows of so many sessions of these organizations by this seed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20_000, help="how many (default: %(default)s)")
    parser.add_argument("--organizations", type=int, default=12, help="two at least (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other data (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="a .jsonl file; compressed when it ends in .gz")
    arguments = parser.parse_args()
    if arguments.organizations < 2 or arguments.sessions < 1:
        parser.error("at least two organizations and one session")
    start = time.perf_counter()
    with open_file(arguments.out) as out:
        owners = organizations(arguments.organizations, arguments.seed)
        count = write_rows(rows(arguments.sessions, owners, arguments.seed), out)
    seconds = time.perf_counter() - start
    sys.stderr.write(f"{count:,} rows of {arguments.sessions:,} sessions in {seconds:.1f} s: {arguments.out}\n")
