"""The data sets that come with the gateway."""

from gateway.catalog.load import load_catalog

DATASETS = load_catalog()
CHAT_SESSIONS = DATASETS["chat_sessions"]
VISITOR_SESSIONS = DATASETS["visitor_sessions"]
