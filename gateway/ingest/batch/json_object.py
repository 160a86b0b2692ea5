"""A parser for a line that must be exactly one JSON object, which knows where each member is. Pure.

It is much slower than orjson, and is used for lines that may be faulty.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, NoReturn

_SPACES: Final = re.compile(r"[ \t\r\n]*")
_SHOWN: Final = 40


class Member(NamedTuple):
    """A key and its value, with their positions in the text from 0."""

    key: str
    key_at: int
    value: Any
    value_at: int


class NotOneObject(Exception):
    """The text is not exactly one JSON object. `at` is the position of the fault from 0."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at


def members(text: str) -> Iterator[Member]:
    """Yield the members of the object, equal keys also. Raises NotOneObject."""
    at = _start(text)
    more = not text.startswith("}", at)
    while more:
        key, after = _value(text, at)
        if type(key) is not str:
            raise NotOneObject(at, "a key must be a string")
        colon = _skip(text, after)
        if not text.startswith(":", colon):
            raise NotOneObject(colon, "a colon is missing")
        value_at = _skip(text, colon + 1)
        value, after = _value(text, value_at)
        yield Member(key, at, value, value_at)
        at = _skip(text, after)
        more = text.startswith(",", at)
        if more:
            at = _skip(text, at + 1)
    _expect_end(text, at)


def shown(value: object) -> str:
    """Return the value for a message, shortened if it is long."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _start(text: str) -> int:
    at = _skip(text, 0)
    if at == len(text):
        raise NotOneObject(0, "the line is empty")
    if text[at] == "\ufeff":
        raise NotOneObject(at, "the file starts with a byte order mark: save it as UTF-8 without one")
    if text[at] != "{":
        raise NotOneObject(at, "a row must be a JSON object")
    return _skip(text, at + 1)


def _expect_end(text: str, at: int) -> None:
    if at == len(text):
        raise NotOneObject(at, "the object is not closed")
    if text[at] != "}":
        raise NotOneObject(at, "a comma or a closing brace is missing")
    rest = _skip(text, at + 1)
    if rest < len(text):
        if "\r" in text[at + 1 : rest]:
            raise NotOneObject(rest, "there is text after a carriage return: end lines with a line feed")
        raise NotOneObject(rest, "there is text after the object: each line must be one object")


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        value, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        raise NotOneObject(error.pos, f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}") from error
    except RecursionError:
        raise NotOneObject(at, "nested too deeply") from None
    except NotOneObject as error:
        raise NotOneObject(at, str(error)) from None
    except ValueError:
        # Python limits the digits of integers.
        raise NotOneObject(at, "a number has too many digits") from None
    if type(value) is float and math.isinf(value):
        raise NotOneObject(at, f"{shown(text[at:end])} is too large for a double")
    return value, end


def _no_number(name: str) -> NoReturn:
    raise NotOneObject(0, f"{name} is not a JSON number")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_number)


def _skip(text: str, at: int) -> int:
    found = _SPACES.match(text, at)
    return found.end() if found else at
