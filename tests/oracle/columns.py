"""The columns of the public Chat Sessions contract, as its two tables describe them."""

from typing import Final

TEXT: Final = (
    "chat_initiator",
    "chat_session_id",
    "chat_type",
    "owner_organization_id",
    "scope",
    "team_id",
    "user_id",
    "user_organization_id",
)
SETS: Final = ("chatted_organization_ids", "room_ids", "visitor_ids", "visitor_session_ids")
INTEGERS: Final = ("order_count", "user_message_count", "visitor_message_count")
FLOATS: Final = ("sales", "subscription_sales")
NUMBERS: Final = (*INTEGERS, *FLOATS)
COLUMNS: Final = (*TEXT, *SETS, *NUMBERS)

COUNTABLE: Final = ("chat_session_id", "visitor_ids", "visitor_session_ids")
"""The columns that hyperUnique accepts."""

ENUMERATED: Final = {
    "chat_initiator": ("autosuggest", "visitor", "operator", "rule"),
    "chat_type": ("operator", "visitor", "group", "task", "external"),
    "scope": ("org", "team", "user"),
}

SNAKE: Final = {"avg": "avg", "sum": "sum", "hyperUnique": "hyper_unique"}
"""The end of an aggregation's column names."""
