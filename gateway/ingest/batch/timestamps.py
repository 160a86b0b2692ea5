"""The timestamps of rows, as a spec's `timestampSpec` has Druid read them. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from gateway.query.zones import moment_of

# What Druid's and Python's parsers both accept and read as the same moment.
_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)


def _iso(value: object) -> int | None:
    if type(value) is not str or _ISO.fullmatch(value) is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment_of(moment)


def _millis(value: object) -> int | None:
    return value if type(value) is int else None


def _posix(value: object) -> int | None:
    return value * 1000 if type(value) is int else None


def _micro(value: object) -> int | None:
    return value // 1000 if type(value) is int else None


def _nano(value: object) -> int | None:
    return value // 1_000_000 if type(value) is int else None


def _auto(value: object) -> int | None:
    return value if type(value) is int else _iso(value)


Parser = Callable[[Any], int | None]
"""Returns milliseconds since 1970, or None where the value is not a timestamp of the format."""

PARSERS: Mapping[str, Parser] = MappingProxyType(
    {"iso": _iso, "auto": _auto, "millis": _millis, "posix": _posix, "micro": _micro, "nano": _nano}
)
"""By the format's name in `timestampSpec.format`. Druid's other formats cannot be checked."""
