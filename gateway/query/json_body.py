"""Reading a request's body as unambiguous JSON (I-JSON, RFC 7493)."""

import json
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from typing import NoReturn

from gateway.errors import InvalidJson

DEEPEST = 40
"""The maximum depth of arrays and objects; no report within its limits comes near it."""

_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
# Whole strings, so that brackets in them do not count. An unterminated string extends to the end of the text.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
# After an even number of backslashes; after an odd number it is a backslash and the text u0000.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def read_json(raw: bytes) -> object:
    """Return the value of the body.

    Raises InvalidJson for text that is no JSON or that parsers understand differently: duplicate keys, NaN, numbers
    outside the range of a double, lone surrogates, NUL, a byte order mark, and nesting deeper than DEEPEST.
    """
    if raw.startswith(BOM_UTF8):
        raise InvalidJson("The body starts with a byte order mark (BOM). Send UTF-8 without it.")
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise InvalidJson("The body is UTF-16 text. Send UTF-8.")
    try:
        text = raw.decode()
        _check_depth(text)
        body = _DECODER.decode(text)
        # Escapes can produce characters that decoding the bytes rejects.
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
        raise InvalidJson(f"The key {json.dumps(twice[:60])} occurs twice in one object.")
    return body


def _no_number(text: str) -> NoReturn:
    raise InvalidJson(f"{text} is not a JSON number.")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise InvalidJson("A number is too large.")
    return number


def _integer(text: str) -> int:
    if len(text) > 20:
        raise InvalidJson("A number is too large.")
    return int(text)


# json.loads would create a decoder for each body.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite, parse_int=_integer
)


def _check_strings(text: str) -> None:
    text.encode()
    if _NUL.search(text):
        raise InvalidJson("A string contains the character NUL.")


def _check_depth(text: str) -> None:
    """Count brackets before any recursion, so that no caller can exhaust the stack."""
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
