"""A filter of the public language → SQL that is true or false, never null."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.oracle.columns import Columns

JAVA_ORDER = r"""
CREATE MACRO java_order(text) AS regexp_replace(text, '([\x{E000}-\x{FFFF}])', chr(1114111) || '\1', 'g')
"""
"""Strings are ordered by UTF-16's units. UTF-8, DuckDB's order, differs in that U+E000 to U+FFFF come before what
needs two units: behind a U+10FFFF they come after."""


class Sql:
    """SQL conditions and the values of their parameters."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.values: dict[str, Any] = {}

    def value(self, value: Any) -> str:
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"

    def condition(self, filters: Any) -> str:
        """The condition of a report's `filters`, an object or a list."""
        every = filters if isinstance(filters, list) else [filters]
        return self._join("AND", [f for f in every if f])

    def _join(self, word: str, filters: Iterable[Mapping[str, Any]]) -> str:
        parts = [self._one(each) for each in filters]
        return f"({f' {word} '.join(parts)})" if parts else "true"

    def _one(self, each: Mapping[str, Any]) -> str:
        match each["type"]:
            case "and" | "or":
                return self._join(each["type"].upper(), each["fields"])
            case "not":
                return f"(NOT {self._one(each['field'])})"
            case "selector":
                return self._among(each["dimension"], [each["value"]])
            case "in":
                return self._among(each["dimension"], each["values"])
            case "bound":
                return self._bound(each)
            case "like":
                pattern = self.value(like_as_regex(each["pattern"], each.get("escape")))
                return self._any(each["dimension"], f"regexp_full_match(x, {pattern}, 's')")
        raise AssertionError(each)

    def _among(self, dimension: str, values: list[Any]) -> str:
        some = [float(v) if dimension in self._columns.numbers else v for v in values if v is not None]
        parts = [f"{dimension} IS NULL"] if None in values else []
        if None in values and dimension in self._columns.sets:
            parts.append(f"len(list_filter({dimension}, lambda x: x IS NULL)) > 0")
        if some:
            parts.append(self._any(dimension, f"list_contains({self.value(some)}, x)"))
        return f"({' OR '.join(parts) or 'false'})"

    def _bound(self, bound: Mapping[str, Any]) -> str:
        dimension = bound["dimension"]
        parts = ["x IS NOT NULL"]
        for side, sign in (("lower", ">"), ("upper", "<")):
            if side in bound:
                operator = sign if bound.get(f"{side}Strict") else f"{sign}="
                if dimension in self._columns.numbers:
                    parts.append(f"x {operator} {self.value(float(bound[side]))}")
                else:
                    parts.append(f"java_order(x) {operator} java_order({self.value(bound[side])})")
        return self._any(dimension, " AND ".join(parts))

    def _any(self, dimension: str, test: str) -> str:
        """The condition that at least one of the row's values passes the test of `x`."""
        values = dimension if dimension in self._columns.sets else f"[{dimension}]"
        return f"coalesce(list_bool_or(list_transform({values}, lambda x: coalesce({test}, false))), false)"


def like_as_regex(pattern: str, escape: str | None) -> str:
    """SQL's LIKE: `%` means any characters, `_` one; a character after the escape is literal."""
    parts, characters = [], iter(pattern)
    for character in characters:
        if character == escape:
            parts.append(_literal(next(characters)))
        else:
            parts.append({"%": ".*", "_": "."}.get(character) or _literal(character))
    return "".join(parts)


def _literal(character: str) -> str:
    # Escaping is wrong for letters and digits, allowed for other ASCII, and unnecessary for the rest.
    return "\\" + character if re.fullmatch(r"[!-/:-@\[-`{-~]", character) else character
