"""What can be asked: the data sets that this gateway serves, by the name they have in the URL.

Every module here that holds a `Dataset` adds it: there is no list to keep.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from gateway.catalog.model import Dataset


def _datasets() -> Iterator[Dataset]:
    for module in iter_modules(__path__, f"{__name__}."):
        yield from (value for value in vars(import_module(module.name)).values() if isinstance(value, Dataset))


def _by_name(datasets: Iterator[Dataset]) -> Mapping[str, Dataset]:
    found: dict[str, Dataset] = {}
    for dataset in datasets:
        if found.setdefault(dataset.name, dataset) is not dataset:
            raise ValueError(f"two data sets are named {dataset.name}")
    return MappingProxyType(found)


DATASETS: Mapping[str, Dataset] = _by_name(_datasets())
