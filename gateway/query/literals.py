"""The values that a dimension can be compared with: their JSON Schema, and how they are read."""

import re
from collections.abc import Callable
from typing import Any

from gateway.catalog.model import Dataset, Dimension, Kind

Json = dict[str, Any]
"""A JSON object: of a request's body, of a JSON Schema, or of a native Druid query."""
Value = str | int | float

LARGEST_NUMBER = 2**53 - 1
"""Up to here a double holds every integer exactly (RFC 7493, section 2.2)."""
LONGEST_STRING = 1024
# The look-ahead makes `$` the very end in every dialect of regular expressions.
NUMBER_TEXT = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?(?!\n)$"

_INTEGER = re.compile(r"-?\d+", re.ASCII)

STRING_VALUE: Json = {"type": "string", "maxLength": LONGEST_STRING}
NUMBER_VALUE: Json = {
    "type": ["number", "string"],
    "minimum": -LARGEST_NUMBER,
    "maximum": LARGEST_NUMBER,
    "pattern": NUMBER_TEXT,
}


def read_value(dimension: Dimension, raw: Value | None) -> Value | None:
    """Return a value that is valid for the dimension: numbers as numbers, also those that came as strings."""
    if raw is None or dimension.kind is Kind.STRING:
        return raw
    number = raw if not isinstance(raw, str) else int(raw) if _INTEGER.fullmatch(raw) else float(raw)
    # Druid takes -0.0 to be less than 0.0; whoever writes it means 0.
    return number or 0


def nullable(schema: Json) -> Json:
    """Return the schema of the same values and null."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    kinds = schema["type"]
    return {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}


def by_dimension(dataset: Dataset, keys: Callable[[Json], Json], *, listed: bool = True) -> list[Json]:
    """Return `allOf` branches that say what a filter's other keys may be, for each sort of dimension.

    `keys` makes the `properties` from the schema of one value. With `listed`, a dimension that has a list of allowed
    values takes only those.
    """
    text = [d for d in dataset.dimensions if d.kind is Kind.STRING]
    free = [d.name for d in text if not (listed and d.allowed)]
    numeric = [d.name for d in dataset.dimensions if d.kind is not Kind.STRING]
    sorts = [(free, STRING_VALUE), (numeric, NUMBER_VALUE)]
    if listed:
        sorts += [([d.name], {"enum": list(d.allowed)}) for d in text if d.allowed]
    return [
        {
            "if": {"properties": {"dimension": {"enum": names}}, "required": ["dimension"]},
            "then": {"properties": keys(value)},
        }
        for names, value in sorts
        if names
    ]
