"""Chat sessions: each row is one chat session seen from one scope (docs: the public Chat Sessions API)."""

from gateway.catalog.model import Advice, Dataset, Dimension, Kind

NUMERIC = ("avg", "sum")
UNIQUE = ("hyperUnique",)

CHAT_SESSIONS = Dataset(
    name="chat_sessions",
    title="Chat sessions",
    description=(
        "One row for each chat session as seen from one scope: one for the organization that owns it, one for each "
        "team and one for each user that chatted in it."
    ),
    data_source="chat_sessions",
    dimensions=(
        Dimension(
            "chat_initiator",
            "What began the chat: an autosuggestion, a message of a visitor, a message of an operator, or a rule.",
            allowed=("autosuggest", "visitor", "operator", "rule"),
        ),
        Dimension(
            "chat_session_id",
            "Unique id of the chat session.",
            aggregations=UNIQUE,
            unique_metric="chat_session_id_unique",
        ),
        Dimension(
            "chat_type",
            "Who took part: users alone (operator), at least one visitor (visitor), a group (group), a task (task), or "
            "an external source (external).",
            allowed=("operator", "visitor", "group", "task", "external"),
        ),
        Dimension(
            "chatted_organization_ids",
            "Ids of the organizations whose users sent messages; empty unless scope is org.",
            multi_valued=True,
        ),
        Dimension(
            "order_count",
            "Orders in the chat session; for scope user and team, those made after the user or team joined.",
            kind=Kind.LONG,
            aggregations=NUMERIC,
        ),
        Dimension("owner_organization_id", "Id of the organization that owns the room."),
        Dimension("room_ids", "Ids of the rooms that the chat session happened in.", multi_valued=True),
        Dimension(
            "sales",
            "Sales in the chat session; for scope user and team, those after the user or team joined.",
            kind=Kind.DOUBLE,
            aggregations=NUMERIC,
        ),
        Dimension(
            "scope",
            "Whom the row describes: the organization, one team, or one user.",
            allowed=("org", "team", "user"),
        ),
        Dimension(
            "subscription_sales",
            "Subscription sales in the chat session; for scope user and team, those after the user or team joined.",
            kind=Kind.DOUBLE,
            aggregations=NUMERIC,
        ),
        Dimension("team_id", "Id of the team that the row describes; null unless scope is team."),
        Dimension("user_id", "Id of the user that the row describes; null unless scope is user."),
        Dimension(
            "user_message_count",
            "Messages sent by users of the scope: of the organization, of the team, or by the user.",
            kind=Kind.LONG,
            aggregations=NUMERIC,
        ),
        Dimension(
            "user_organization_id",
            "Id of the organization of the user that the row describes; null unless scope is user.",
        ),
        Dimension(
            "visitor_ids",
            "Ids of all visitors who are members of the chat session.",
            multi_valued=True,
            aggregations=UNIQUE,
            unique_metric="visitor_ids_unique",
        ),
        Dimension(
            "visitor_message_count",
            "Messages sent by visitors.",
            kind=Kind.LONG,
            aggregations=NUMERIC,
        ),
        Dimension(
            "visitor_session_ids",
            "Ids of all visitor sessions that are members of the chat session.",
            multi_valued=True,
            aggregations=UNIQUE,
            unique_metric="visitor_session_ids_unique",
        ),
    ),
    advice=(
        Advice(
            "scope",
            "rows of several scopes are mixed: a chat session has one row for its organization and more for its teams "
            "and users, so that it is counted more than once",
        ),
    ),
)
