"""What the oracle knows of a data set: the public names of its columns, and what can be computed from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SNAKE: Final = {"avg": "avg", "sum": "sum", "min": "min", "max": "max", "hyperUnique": "hyper_unique"}
"""The end of an aggregation's column names; quantile has its own."""

TIME_PARTS: Final = {
    "hour_of_day": range(24),
    "day_of_week": range(1, 8),
    "day_of_month": range(1, 32),
    "month_of_year": range(1, 13),
}
"""The dimensions that every data set has, and their values."""


def column_name(field: str, kind: str, fraction: float = 0.0) -> str:
    """The name of an aggregation's column."""
    if kind != "quantile":
        return f"{field}_{SNAKE[kind]}"
    return f"{field}_p{round(fraction * 100, 9):g}".replace(".", "_")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a data set, which are also the keys of its original rows.

    `computed` are the fields of each aggregation. `only_computed` are numbers and sets that can neither be filtered nor
    grouped by. `looked_up` are names that lookups give to ids. `involved` is the column with the partners, which is not
    public.
    """

    text: tuple[str, ...]
    sets: tuple[str, ...]
    integers: tuple[str, ...]
    floats: tuple[str, ...]
    computed: Mapping[str, tuple[str, ...]]
    enumerated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    only_computed: tuple[str, ...] = ()
    looked_up: tuple[str, ...] = ()
    owner: str = "owner_organization_id"
    involved: str | None = None
    timestamp: str = "timestamp"

    @property
    def numbers(self) -> tuple[str, ...]:
        return (*self.integers, *self.floats, *TIME_PARTS)

    @property
    def all(self) -> tuple[str, ...]:
        """The columns that can be filtered and grouped by."""
        return tuple(each for each in (*self.text, *self.sets, *self.numbers) if each not in self.only_computed)


_NUMBERS: Final = ("order_count", "user_message_count", "visitor_message_count", "sales", "subscription_sales")

CHAT_SESSIONS: Final = Columns(
    text=(
        "chat_initiator",
        "chat_session_id",
        "chat_type",
        "owner_organization_id",
        "scope",
        "team_id",
        "user_id",
        "user_organization_id",
    ),
    sets=("chatted_organization_ids", "room_ids", "visitor_ids", "visitor_session_ids"),
    integers=_NUMBERS[:3],
    floats=_NUMBERS[3:],
    computed={
        **dict.fromkeys(("avg", "sum", "min", "max", "quantile"), _NUMBERS),
        "hyperUnique": (
            "chat_session_id",
            "chatted_organization_ids",
            "owner_organization_id",
            "room_ids",
            "team_id",
            "user_id",
            "user_organization_id",
            "visitor_ids",
            "visitor_session_ids",
        ),
    },
    enumerated={
        "chat_initiator": ("autosuggest", "visitor", "operator", "rule"),
        "chat_type": ("operator", "visitor", "group", "task", "external"),
        "scope": ("org", "team", "user"),
    },
    involved="involved_organization_ids",
)
"""The public Chat Sessions contract, as its two tables describe it."""
