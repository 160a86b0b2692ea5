"""Reading a request's body as JSON that can be understood in only one way (I-JSON, RFC 7493)."""

import json
import re
from typing import NoReturn

from gateway.errors import InvalidJson

DEEPEST = 40
"""Nested arrays and objects; far more than a report within its limits has."""

_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
# Behind an even number of backslashes: behind an odd number it is a backslash and the text u0000.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def read_json(raw: bytes) -> object:
    """Return what the body says.

    Raises InvalidJson for what readers could take in different ways, or not at all: duplicate keys, NaN, numbers
    beyond a double, lone surrogates, NUL, and nesting deeper than DEEPEST.
    """
    try:
        text = raw.decode()
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
    except RecursionError as error:
        raise InvalidJson(_TOO_DEEP) from error
    except json.JSONDecodeError as error:
        raise InvalidJson(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from error
    if text.count("[") + text.count("{") > DEEPEST:
        _check_depth(body)
    return body


_TOO_DEEP = f"The body nests arrays and objects more than {DEEPEST} deep."


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


def _check_depth(body: object) -> None:
    level = [body]
    for _ in range(DEEPEST):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ())
        ]
        if not level:
            return
    if any(isinstance(each, dict | list) for each in level):
        raise InvalidJson(_TOO_DEEP)
