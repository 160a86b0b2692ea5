"""Visitor sessions: each row is one visit of one visitor to a web site of the organization."""

from gateway.catalog.model import Dataset, Dimension, Kind

VISITOR_SESSIONS = Dataset(
    name="visitor_sessions",
    title="Visitor sessions",
    description="One row for each visitor session: the pages that one visitor looked at in one go.",
    data_source="visitor_sessions",
    dimensions=(
        Dimension("browser_name", "Name of the visitor's browser; null where it does not tell."),
        Dimension("browser_version", "Version of that browser, as it gives it; null where it does not."),
        Dimension(
            "chat_session_ids",
            "Ids of the chat sessions that the visitor took part in meanwhile.",
            multi_valued=True,
            aggregations=("hyperUnique",),
            unique_metric="chat_session_ids_unique",
        ),
        Dimension("city", "City that the visitor came from; null where that is not known."),
        Dimension(
            "country",
            "Country that the visitor came from, as ISO 3166-1 alpha-2; null where that is not known.",
        ),
        Dimension(
            "device_type",
            "What the visitor looked with; null where the browser does not tell.",
            allowed=("desktop", "tablet", "mobile"),
        ),
        Dimension(
            "distinct_url_count",
            "How many different URLs were viewed.",
            kind=Kind.LONG,
            aggregations=("avg", "sum"),
        ),
        Dimension(
            "duration",
            "How long the session took, in seconds; null where its end went unnoticed.",
            kind=Kind.DOUBLE,
            aggregations=("avg", "sum"),
        ),
        Dimension("owner_organization_id", "Id of the organization whose web site it was."),
        Dimension(
            "page_view_count",
            "How many pages were viewed, also the same one again.",
            kind=Kind.LONG,
            aggregations=("avg", "sum"),
        ),
        Dimension(
            "visitor_id",
            "Unique id of the visitor.",
            aggregations=("hyperUnique",),
            unique_metric="visitor_id_unique",
        ),
    ),
)
