"""The data sets that come with the gateway."""

from gateway.catalog.load import load_catalog

DATASETS = load_catalog()
CHAT_SESSIONS = DATASETS["chat_sessions"]
VISITOR_SESSIONS = DATASETS["visitor_sessions"]

NOW = 1_800_000_000_000
"""The time of requests for which it does not matter: 2027-01-15T08:00:00Z, after all sample rows."""
