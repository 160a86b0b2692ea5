"""Reading a request's body as JSON that can be understood in only one way (I-JSON, RFC 7493)."""

import json
import re
from typing import NoReturn

from gateway.errors import InvalidJson

DEEPEST = 40
"""Nested arrays and objects; far more than a report within its limits has."""

_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
# Whole strings, so that no bracket in one counts; without its end, one goes on to the end of the text.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
# Behind an even number of backslashes: behind an odd number it is a backslash and the text u0000.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def read_json(raw: bytes) -> object:
    """Return what the body says.

    Raises InvalidJson for what readers could take in different ways, or not at all: duplicate keys, NaN, numbers
    beyond a double, lone surrogates, NUL, and nesting deeper than DEEPEST.
    """
    try:
        text = raw.decode()
        _check_depth(text)
        body = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_integer,
        )
        # Escapes can smuggle in what decoding the bytes has already refused.
        if _ESCAPED.search(text):
            _check_strings(json.dumps(body, ensure_ascii=False))
    except UnicodeError as error:
        raise InvalidJson("The body is not UTF-8 text.") from error
    except json.JSONDecodeError as error:
        raise InvalidJson(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from error
    return body


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    body = dict(pairs)
    if len(body) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidJson(f"The key {json.dumps(twice[:60])} stands twice in one object.")
    return body


def _no_number(text: str) -> NoReturn:
    raise InvalidJson(f"{text} is no JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise InvalidJson("A number is too large.")
    return number


def _integer(text: str) -> int:
    if len(text) > 20:
        raise InvalidJson("A number is too large.")
    return int(text)


def _check_strings(text: str) -> None:
    text.encode()
    if _NUL.search(text):
        raise InvalidJson("A string holds the character NUL.")


def _check_depth(text: str) -> None:
    """Count brackets before anything goes down into them: how deep that may go is nothing that a caller should try."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        if match[0] in ("[", "{"):
            depth += 1
            if depth > DEEPEST:
                raise InvalidJson(f"The body nests arrays and objects more than {DEEPEST} deep.")
        elif match[0] in ("]", "}"):
            depth -= 1
