"""What is wrong with a body, said so that its author can mend it: one sentence for each broken rule of the schema."""

import json
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from jsonschema import Draft202012Validator, ValidationError

from gateway.errors import Problem
from gateway.query.literals import NUMBER_TEXT
from gateway.query.time import TIME_ZONES, parse_timestamp

MOST = 50
"""Problems named in one answer: enough to mend a body by, and a bound on the work that a hostile one causes."""


def explain(validator: Draft202012Validator, body: object) -> tuple[Problem, ...]:
    """Return what is wrong with the body, each problem once, in the body's order of keys; at most MOST."""
    found: dict[Problem, None] = {}
    for error in validator.iter_errors(body):
        found.update(dict.fromkeys(islice(_problems(error), MOST)))
        if len(found) >= MOST:
            break
    return tuple(found)[:MOST]


def pointer(*keys: str | int) -> str:
    """Return the JSON Pointer (RFC 6901) that goes through these keys."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def shown(value: object) -> str:
    """Return the value as JSON, shortened where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def nearest(name: object, allowed: list[str]) -> str:
    """Return a question that proposes the allowed name most like this one, or nothing where none is like it."""
    matches = get_close_matches(name, allowed, n=1, cutoff=0.6) if isinstance(name, str) and len(name) < 80 else []
    return f' (did you mean "{matches[0]}"?)' if matches else ""


def _problems(error: ValidationError) -> Iterator[Problem]:
    # As the library's types say, any of these may be unset; those of an error that was found are not.
    rule: Any = error.validator
    wanted: Any = error.validator_value
    schema: Any = error.schema
    found: Any = error.instance
    if rule == "additionalProperties":
        allowed = list(schema["properties"])
        for key in found:
            if key not in allowed:
                message = f"unknown key {shown(key)}{nearest(key, allowed)}; allowed: {', '.join(allowed)}"
                yield Problem(pointer(*error.absolute_path, key), message)
    elif rule == "required":
        for key in wanted:
            if key not in found:
                yield Problem(pointer(*error.absolute_path), f'"{key}" is missing')
    else:
        yield Problem(pointer(*error.absolute_path), _SENTENCES.get(rule, _unforeseen)(found, wanted))


def _not_one_of(found: object, allowed: list[Any]) -> str:
    names = [name for name in allowed if isinstance(name, str)]
    listed = ", ".join("null" if name is None else str(name) for name in allowed)
    return f"{shown(found)} is not allowed{nearest(found, names)}; one of: {listed}"


def _wrong_type(found: object, allowed: str | list[str]) -> str:
    kinds = [allowed] if isinstance(allowed, str) else allowed
    return f"must be {' or '.join(_ARTICLES[kind] for kind in kinds)}, not {shown(found)}"


def _wrong_format(found: str, kind: str) -> str:
    if kind == "time-zone":
        return f"{shown(found)} is not a time zone of the tz database{nearest(found, sorted(TIME_ZONES))}"
    try:
        parse_timestamp(found, ZoneInfo("UTC"))
    except ValueError as error:
        return f"{shown(found)} {error}"
    raise AssertionError(kind)


def _unforeseen(found: object, _: object) -> str:
    return f"is not valid: {shown(found)}"


def _wrong_pattern(found: str, pattern: str) -> str:
    if pattern == NUMBER_TEXT:
        return f"must be a number, not {shown(found)}"
    return f"must be a letter, then letters, digits or underscores, 64 in all at most, not {shown(found)}"


_ARTICLES = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}

_SENTENCES: Mapping[str, Callable[[Any, Any], str]] = MappingProxyType(
    {
        "enum": _not_one_of,
        "type": _wrong_type,
        "format": _wrong_format,
        "pattern": _wrong_pattern,
        "minimum": lambda found, least: f"must be {least} or more, not {shown(found)}",
        "maximum": lambda found, most: f"must be {most} or less, not {shown(found)}",
        "minItems": lambda _, least: f"must have at least {least} element{'s' * (least != 1)}",
        "maxItems": lambda found, most: f"must have at most {most} element{'s' * (most != 1)}, not {len(found)}",
        "minLength": lambda _, least: f"must have at least {least} character{'s' * (least != 1)}",
        "maxLength": lambda found, most: f"must have at most {most} characters, not {len(found)}",
        "anyOf": lambda _, branches: "needs " + " or ".join(f'"{branch["required"][0]}"' for branch in branches),
    }
)
