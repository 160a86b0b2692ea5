# ruff: noqa: INP001 a file to run, in a folder that is no package
"""Realistic chat sessions, the same for the same seed, as JSON lines.

    python ingestion-specs/samples/chat_sessions.py --sessions 20000 --organizations 12 --seed 1 --out FILE

Each session yields one row for its owner organization, one for each chatted team, one for each chatted user.
README.md beside this file says what the rows mean where the public contract leaves it open.
Standard library only: this file and generator_common.py can be copied to any machine and run there.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Literal, TextIO, TypedDict

from generator_common import (
    DOCUMENTED_ORGANIZATION_ID,
    END_DAY,
    FIRST_DAY,
    PARTNER_ORGANIZATION_ID,
    Organization,
    User,
    made_up_id,
    number_by,
    organizations,
    run,
    shares_by_day,
    timestamps,
    unique,
    write_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The interface for programs that import this file.
__all__ = [
    "DOCUMENTED_ORGANIZATION_ID",
    "END_DAY",
    "FIRST_DAY",
    "PARTNER_ORGANIZATION_ID",
    "organizations",
    "sessions",
    "write",
]

NEW_YEAR = date(2019, 1, 1)
NEW_YEAR_SESSIONS = 51
"""So many sessions, at least, has the documented organization for the contract's example request to count."""

Scope = Literal["org", "team", "user"]
ChatType = Literal["operator", "visitor", "group", "task", "external"]
Initiator = Literal["autosuggest", "visitor", "operator", "rule"]


class Row(TypedDict):
    """One line: a chat session seen from one scope. Timestamps are UTC with milliseconds, money has two decimals."""

    timestamp: str
    scope: Scope
    chat_session_id: str
    chat_type: ChatType
    chat_initiator: Initiator | None
    owner_organization_id: str
    chatted_organization_ids: list[str]
    involved_organization_ids: list[str]
    room_ids: list[str]
    team_id: str | None
    user_id: str | None
    user_organization_id: str | None
    visitor_ids: list[str]
    visitor_session_ids: list[str]
    user_message_count: int
    visitor_message_count: int
    order_count: int | None
    sales: float | None
    subscription_sales: float | None


@dataclass(frozen=True, slots=True)
class Member:
    """A user in a session, who joined when `joined` user messages had been sent."""

    user: User
    joined: int
    messages: int


@dataclass(frozen=True, slots=True)
class Order:
    """Placed when `after` user messages had been sent. Prices in cents."""

    after: int
    sales: int
    subscription_sales: int


@dataclass(frozen=True, slots=True)
class Session:
    session_id: str
    timestamp: str
    chat_type: ChatType
    initiator: Initiator | None
    owner: Organization
    room_ids: list[str]
    visitor_ids: list[str]
    visitor_session_ids: list[str]
    visitor_messages: int
    members: tuple[Member, ...]
    orders: tuple[Order, ...]

    def rows(self) -> Iterator[Row]:
        """The owner organization's row, then the chatted teams', then the chatted users'."""
        chatted = [member for member in self.members if member.messages]
        teams: dict[str, list[Member]] = {}
        for member in chatted:
            for team_id in member.user.team_ids:
                teams.setdefault(team_id, []).append(member)
        involved = unique([self.owner.organization_id, *(m.user.organization_id for m in self.members)])
        yield self._row("org", chatted, 0, involved)
        for team_id, members in teams.items():
            yield self._row("team", members, min(m.joined for m in members), involved, team_id=team_id)
        for member in chatted:
            yield self._row("user", [member], member.joined, involved, user=member.user)

    def _row(  # noqa: PLR0913 these are what a scope changes in a row
        self,
        scope: Scope,
        chatted: list[Member],
        joined: int,
        involved: list[str],
        *,
        team_id: str | None = None,
        user: User | None = None,
    ) -> Row:
        orders = [order for order in self.orders if order.after >= joined]
        tracked = self.owner.tracks_orders
        return {
            "timestamp": self.timestamp,
            "scope": scope,
            "chat_session_id": self.session_id,
            "chat_type": self.chat_type,
            "chat_initiator": self.initiator,
            "owner_organization_id": self.owner.organization_id,
            "chatted_organization_ids": unique(m.user.organization_id for m in chatted) if scope == "org" else [],
            "involved_organization_ids": involved,
            "room_ids": self.room_ids,
            "team_id": team_id,
            "user_id": user.user_id if user else None,
            "user_organization_id": user.organization_id if user else None,
            "visitor_ids": self.visitor_ids,
            "visitor_session_ids": self.visitor_session_ids,
            "user_message_count": sum(m.messages for m in chatted),
            "visitor_message_count": self.visitor_messages,
            "order_count": len(orders) if tracked else None,
            "sales": sum(order.sales for order in orders) / 100 if tracked else None,
            "subscription_sales": sum(order.subscription_sales for order in orders) / 100 if tracked else None,
        }


def sessions(count: int, owners: tuple[Organization, ...], seed: int) -> Iterator[Session]:
    """So many sessions in the order of their start."""
    rng = Random(f"{seed}/sessions")  # noqa: S311 made-up data, not secrets
    visitors = {owner.organization_id: _Visitors() for owner in owners}
    by_id = {owner.organization_id: owner for owner in owners}
    # Zipf's law: the n-th largest organization has 1/n of the largest one's sessions.
    sizes = list(accumulate(1 / rank for rank in range(1, len(owners) + 1)))
    for day, day_count in _sessions_by_day(count):
        examples = set(rng.sample(range(day_count), min(NEW_YEAR_SESSIONS, day_count))) if day == NEW_YEAR else set()
        for number, timestamp in enumerate(timestamps(rng, day, day_count)):
            if number in examples:
                owner, kind = owners[0], _EXAMPLE
            else:
                [owner] = rng.choices(owners, cum_weights=sizes)
                [kind] = rng.choices(_KINDS, _SHARES)
            people = [owner, *(by_id[partner_id] for partner_id in owner.partner_ids)]
            yield _session(rng, timestamp, kind, people, visitors[owner.organization_id])


@dataclass(frozen=True, slots=True)
class _Kind:
    """How sessions of a chat type look: weights of 0, 1, 2, … visitors and users, and who initiates them."""

    chat_type: ChatType
    share: int
    visitors: tuple[int, ...]
    users: tuple[int, ...]
    initiators: tuple[Initiator | None, ...]


_KINDS = (
    _Kind(
        "visitor",
        78,
        (0, 90, 7, 3),
        (8, 70, 16, 6),
        ("visitor", "visitor", "autosuggest", "rule", "operator"),
    ),
    _Kind("operator", 8, (1,), (0, 0, 80, 15, 5), ("operator",)),
    _Kind("group", 6, (15, 45, 25, 15), (0, 0, 50, 30, 20), ("operator", "visitor")),
    _Kind("task", 4, (60, 40), (20, 70, 10), (None, "rule")),
    _Kind("external", 4, (10, 80, 10), (20, 65, 15), ("visitor", None)),
)
_SHARES = [kind.share for kind in _KINDS]
_EXAMPLE = _Kind("visitor", 0, (0, 95, 5), (5, 75, 20), ("visitor",))


class _Visitors:
    """An organization's visitors, some of whom come back."""

    def __init__(self) -> None:
        self._recent: deque[str] = deque(maxlen=500)

    def pick(self, rng: Random) -> str:
        if self._recent and rng.random() < 0.3:
            return self._recent[int(rng.random() * len(self._recent))]
        visitor_id = made_up_id(rng)
        self._recent.append(visitor_id)
        return visitor_id


def _session(rng: Random, timestamp: str, kind: _Kind, people: list[Organization], visitors: _Visitors) -> Session:
    """`people`: the owner, then its partners."""
    owner = people[0]
    visitor_ids = unique(visitors.pick(rng) for _ in range(number_by(rng, kind.visitors)))
    members, sent = _members(rng, kind, people)
    buys = bool(visitor_ids) and owner.tracks_orders and rng.random() < 0.12
    return Session(
        session_id=made_up_id(rng),
        timestamp=timestamp,
        chat_type=kind.chat_type,
        initiator=rng.choice(kind.initiators),
        owner=owner,
        room_ids=[] if kind.chat_type == "operator" else rng.sample(owner.room_ids, 1 + number_by(rng, (93, 6, 1))),
        visitor_ids=visitor_ids,
        visitor_session_ids=[made_up_id(rng) for _ in visitor_ids],
        visitor_messages=int(rng.expovariate(0.2)) + 1 if visitor_ids else 0,
        members=members,
        orders=tuple(_order(rng, sent) for _ in range(1 + number_by(rng, (85, 12, 3)))) if buys else (),
    )


def _members(rng: Random, kind: _Kind, people: list[Organization]) -> tuple[tuple[Member, ...], int]:
    """The users in a session, and how many messages they sent in all. One in eight only looks on."""
    users = unique(
        rng.choice((people[0] if rng.random() < 0.8 else rng.choice(people)).users)
        for _ in range(number_by(rng, kind.users))
    )
    members: list[Member] = []
    sent = 0
    for user in users:
        messages = 0 if rng.random() < 0.125 else int(rng.expovariate(0.25)) + 1
        # The first is there from the start; those who join later have missed earlier messages.
        members.append(Member(user, rng.randint(0, sent), messages))
        sent += messages
    return tuple(members), sent


def _order(rng: Random, sent: int) -> Order:
    sales = int(rng.lognormvariate(8.3, 0.9)) + 100
    return Order(rng.randint(0, sent), sales, rng.choice((990, 1990, 4990)) if rng.random() < 0.15 else 0)


def _sessions_by_day(count: int) -> Iterator[tuple[date, int]]:
    """New Year's day gets its own first."""
    examples = min(count, NEW_YEAR_SESSIONS)
    for day, share in shares_by_day(count - examples):
        yield day, share + (examples if day == NEW_YEAR else 0)


def write(lines: Iterable[Session], out: TextIO) -> int:
    """Writes the sessions' rows and tells how many they are."""
    return write_rows((row for session in lines for row in session.rows()), out)


if __name__ == "__main__":
    run(__doc__, lambda *asked: (row for session in sessions(*asked) for row in session.rows()))
