"""What is wrong with a body: a sentence for each broken rule of the schema that tells the author how to fix it."""

import json
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from jsonschema_rs import Draft202012Validator, ValidationError

from gateway.errors import Problem
from gateway.query.literals import COLUMN_NAME, DURATION, NUMBER_TEXT, SINGLE_CHARACTER, Json
from gateway.query.time import parse_timestamp
from gateway.query.zones import TIME_ZONES

MAX_PROBLEMS = 50
"""The maximum number of problems in one response. It also bounds the work that a hostile body causes."""

_MAX_SUGGESTIONS = 10
"""The maximum number of names per request for which the nearest valid one is searched: each search takes up to 1 ms."""


Path = list[str | int]
"""The keys that lead to a value of the body."""


class Suggestions:
    """Finds the valid name that an invalid one probably stands for, for the first few invalid names of a request."""

    def __init__(self) -> None:
        self._left = _MAX_SUGGESTIONS

    def nearest(self, name: object, allowed: list[str]) -> str:
        """Return a question that suggests the nearest allowed name; "" if none is near or too many were requested."""
        if not isinstance(name, str) or len(name) >= 80 or not self._left:
            return ""
        self._left -= 1
        matches = get_close_matches(name, allowed, n=1, cutoff=0.6)
        return f' (did you mean "{matches[0]}"?)' if matches else ""


def find_problems(
    validator: Draft202012Validator, schema: Json, body: object, near: Suggestions
) -> tuple[Problem, ...]:
    """Return what is wrong with the body, each problem once, in the order of the body; at most MAX_PROBLEMS."""
    found: dict[Problem, list[int]] = {}
    for error in validator.iter_errors(body):
        for path, message in islice(_faults(error, schema, body, near), MAX_PROBLEMS - len(found)):
            found.setdefault(Problem(pointer(*path), message), _position(body, path))
        if len(found) == MAX_PROBLEMS:
            break
    return tuple(sorted(found, key=found.__getitem__))


def pointer(*keys: str | int) -> str:
    """Return the JSON Pointer (RFC 6901) that consists of these keys."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def quote(value: object) -> str:
    """Return the value as JSON, shortened if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def _position(body: Any, path: Path) -> list[int]:  # noqa: ANN401 - any JSON value
    """Return the position of each key of the path among its siblings, by which problems sort in the body's order."""
    position = []
    for key in path:
        position.append(list(body).index(key) if isinstance(body, dict) else int(key))
        body = body[key]
    return position


def _at(value: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    for key in path:
        value = value[key]
    return value


def _faults(error: ValidationError, schema: Json, body: object, near: Suggestions) -> Iterator[tuple[Path, str]]:
    """Yield the path and the sentence of each problem in one error."""
    rule, path = error.kind.name, error.instance_path
    *parents, _ = error.schema_path
    found, wanted = _at(body, path), _at(schema, error.schema_path)
    if rule == "additionalProperties":
        allowed = list(_at(schema, parents)["properties"])
        for key in found:
            if key not in allowed:
                message = f"unknown key {quote(key)}{near.nearest(key, allowed)}; allowed: {', '.join(allowed)}"
                yield [*path, key], message
    elif rule == "required":
        yield from ((path, f'"{key}" is missing') for key in wanted if key not in found)
    else:
        yield path, _SENTENCES.get(rule, _other)(found, wanted, near)


def _not_one_of(found: object, allowed: list[Any], near: Suggestions) -> str:
    names = [name for name in allowed if isinstance(name, str)]
    listed = ", ".join("null" if name is None else str(name) for name in allowed) or "(none)"
    return f"{quote(found)} is not allowed{near.nearest(found, names)}; one of: {listed}"


def _wrong_type(found: object, allowed: str | list[str], _: Suggestions) -> str:
    kinds = [allowed] if isinstance(allowed, str) else allowed
    return f"must be {' or '.join(_ARTICLES[kind] for kind in kinds)}, not {quote(found)}"


def _wrong_format(found: str, kind: str, near: Suggestions) -> str:
    if kind == "time-zone":
        return f"{quote(found)} is not a time zone of the tz database{near.nearest(found, sorted(TIME_ZONES))}"
    try:
        parse_timestamp(found, ZoneInfo("UTC"))
    except ValueError as error:
        return f"{quote(found)} {error}"
    raise AssertionError(kind)


def _wrong_pattern(found: str, pattern: str, _: Suggestions) -> str:
    return f"{_FORMS.get(pattern, 'is not valid:')} {quote(found)}"


def _other(found: object, _: object, __: Suggestions) -> str:
    return f"is not valid: {quote(found)}"


_FORMS: Mapping[str, str] = MappingProxyType(
    {
        NUMBER_TEXT: "must be a number, not",
        COLUMN_NAME: "must be a letter followed by letters, digits or underscores, at most 64 in all, not",
        SINGLE_CHARACTER: "must be a character of the Basic Multilingual Plane, which has no emoji, not",
        DURATION: "must be an ISO 8601 duration with one unit, such as PT90M, PT24H, P7D, P4W, P3M or P1Y, not",
    }
)
"""What a text must be, by the pattern of the schema."""

_ARTICLES = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}

_SENTENCES: Mapping[str, Callable[[Any, Any, Suggestions], str]] = MappingProxyType(
    {
        "enum": _not_one_of,
        "type": _wrong_type,
        "format": _wrong_format,
        "pattern": _wrong_pattern,
        "minimum": lambda found, least, _: f"must be {least} or more, not {quote(found)}",
        "maximum": lambda found, most, _: f"must be {most} or less, not {quote(found)}",
        "minItems": lambda _, least, __: f"must have at least {least} element{'s' * (least != 1)}",
        "maxItems": lambda found, most, _: f"must have at most {most} element{'s' * (most != 1)}, not {len(found)}",
        "minLength": lambda _, least, __: f"must have at least {least} character{'s' * (least != 1)}",
        "maxLength": lambda found, most, _: f"must have at most {most} characters, not {len(found)}",
        "anyOf": lambda _, branches, __: "needs " + " or ".join(f'"{branch["required"][0]}"' for branch in branches),
    }
)
