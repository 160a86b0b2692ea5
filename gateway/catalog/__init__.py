"""What can be asked: the data sets that this gateway serves, by the name they have in the URL."""

from collections.abc import Mapping
from types import MappingProxyType

from gateway.catalog.chat_sessions import CHAT_SESSIONS
from gateway.catalog.model import Dataset

DATASETS: Mapping[str, Dataset] = MappingProxyType({dataset.name: dataset for dataset in (CHAT_SESSIONS,)})
