"""The values with which a dimension can be compared: their JSON Schema, and how they are read."""

import re
from collections.abc import Callable
from typing import Any

from gateway.catalog.model import Dataset, Dimension, Kind

Json = dict[str, Any]
"""A JSON object: part of a request's body, a JSON Schema, or a native Druid query."""
Value = str | int | float

LARGEST_NUMBER = 2**53 - 1
"""A double represents every integer up to this one exactly (RFC 7493, section 2.2)."""
LONGEST_STRING = 1024
# In these patterns the look-ahead makes `$` the end of the text in every dialect of regular expressions.
# The first character is never an underscore: the names of the gateway's own columns start with one.
COLUMN_NAME = "^[A-Za-z][A-Za-z0-9_]{0,63}(?!\\n)$"
# An ISO 8601 duration with one unit.
DURATION = r"^P(T[1-9][0-9]{0,4}[MH]|[1-9][0-9]{0,4}[DWMY])(?!\n)$"
SINGLE_CHARACTER = "^[\\u0000-\\uffff]$"
"""One unit of UTF-16, in which Druid counts."""
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
    """Return a value that is valid for the dimension. Numbers in strings become numbers."""
    if raw is None or dimension.kind is Kind.STRING:
        return raw
    number = raw if not isinstance(raw, str) else int(raw) if _INTEGER.fullmatch(raw) else float(raw)
    # For Druid, -0.0 is less than 0.0.
    return number or 0


def nullable(schema: Json) -> Json:
    """Return the schema that also accepts null."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    kinds = schema["type"]
    return {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}


def by_dimension(dataset: Dataset, keys: Callable[[Json], Json], *, listed: bool = True) -> list[Json]:
    """Return `allOf` branches with the schema of a filter's other keys, one for each kind of dimension.

    `keys` makes the `properties` from the schema of one value. With `listed`, a dimension with a list of allowed values
    accepts only those.
    """
    text = [d for d in dataset.columns.values() if d.kind is Kind.STRING]
    free = [d.name for d in text if not (listed and d.allowed)]
    numeric = [d.name for d in dataset.columns.values() if d.kind is not Kind.STRING]
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
