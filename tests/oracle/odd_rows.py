"""Unusual rows: values that break naive code, at moments when offsets change."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.oracle.clock import MINUTE, moment, offset_changes, shown
from tests.oracle.columns import CHAT_SESSIONS

ZONES: Final = (
    "UTC",
    "Europe/Helsinki",
    "America/New_York",
    "America/Sao_Paulo",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Asia/Kolkata",
    "Asia/Kathmandu",
)
"""Clock changes at midnight, at one o'clock, by half an hour; offsets of half and quarter hours."""

TEXTS: Final = (
    "",
    " ",
    "a",
    "A",
    "aa",
    "ab",
    "é",
    "e\u0301",
    "ß",
    "null",
    "0",
    "10",
    "9",
    "%",
    "_",
    "a%b",
    "a_b",
    "a\\b",
    "a'b",
    'a"b',
    "a.b",
    "[a]",
    "a\nb",
    "\ud7ff",
    "\ue000",
    "\uffe5",
    "\U0001f600",
    "\U0001f600a",
)
"""Among them are strings that UTF-16 and UTF-8 order differently."""

_LISTED: Final = CHAT_SESSIONS.enumerated

# Small enough that their sums are exact as floats.
NUMBERS: Final = (0, 1, 2, 3, 7, 10, 100, 1_000_000, 1_000_000_000_000)
MONEY: Final = (0.0, 0.1, 0.2, 0.3, 1.005, 9.99, 1e-9, 33.333333333333336, 123456789.12)

# The intervals of the ingestion spec.
FIRST, LAST = moment("2018-12-01", "UTC"), moment("2020-02-01", "UTC") - 1


def write(file: Path, owner: str, partner: str) -> None:
    """Append the rows. Most belong to the owner; the partner was involved in half of those."""
    with file.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows(owner, partner))


def moments() -> list[int]:
    """The start and the end of the data, and moments around each change of each zone's offset."""
    changes = [at for zone in ZONES for at in offset_changes(zone) if FIRST < at < LAST]
    around = (
        -120 * MINUTE,
        -60 * MINUTE - 1,
        -60 * MINUTE,
        -30 * MINUTE,
        -1,
        0,
        1,
        30 * MINUTE,
        60 * MINUTE - 1,
        60 * MINUTE,
    )
    return sorted({FIRST, LAST, *(at + distance for at in changes for distance in around)})


def rows(owner: str, partner: str) -> Iterator[dict[str, Any]]:
    random = Random(1)

    def text() -> str | None:
        return random.choice((None, random.choice(TEXTS)))

    def texts() -> list[str]:
        # Some values occur twice.
        return random.choices(TEXTS, k=random.choice((0, 1, 1, 2, 3)))

    for at in moments():
        for _ in range(2):
            yield {
                "timestamp": shown(at, "UTC"),
                "scope": random.choice(_LISTED["scope"]),
                "chat_session_id": random.choice(TEXTS),
                "chat_type": random.choice(_LISTED["chat_type"]),
                "chat_initiator": random.choice((None, *_LISTED["chat_initiator"])),
                "owner_organization_id": random.choice((owner, owner, owner, partner)),
                "chatted_organization_ids": texts(),
                "involved_organization_ids": random.choice(([owner], [owner, partner])),
                "room_ids": texts(),
                "team_id": text(),
                "user_id": text(),
                "user_organization_id": text(),
                "visitor_ids": texts(),
                "visitor_session_ids": texts(),
                "user_message_count": random.choice(NUMBERS),
                "visitor_message_count": random.choice((None, *NUMBERS)),
                "order_count": random.choice((None, *NUMBERS)),
                "sales": random.choice((None, *MONEY)),
                "subscription_sales": random.choice((None, *MONEY)),
            }
