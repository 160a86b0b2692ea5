"""The schema of reports in the form that client generators understand: alternatives instead of conditions. Pure.

The schema that decides uses if/then, which pinpoints errors. Generators know neither if/then nor boolean schemas, so
the published schema lists the cases with oneOf, each complete in itself and excluding the others. Both accept the same
documents; a test compares them. Only the conditions that gateway/query uses are supported.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gateway.query.literals import Json

_DEFS: Final = "#/$defs/"
_CONDITIONAL: Final = frozenset({"if", "then", "else", "allOf", "anyOf"})


def published(document: Json) -> Json:
    """Return a schema without conditions that accepts the same documents."""
    definitions: Json = {}
    restrictions = dict(_restrictions(document["$defs"]))
    for name, node in document["$defs"].items():
        if _is_dispatch(node):
            definitions[name] = _union(node)
            continue
        cases = _cases(_merged(restrictions.get(name, {}), node))
        if len(cases) == 1:
            definitions[name] = _plain(cases[0])
            continue
        names = [f"{name}_{number}" for number in range(1, len(cases) + 1)]
        definitions[name] = {"oneOf": [{"$ref": f"{_DEFS}{each}"} for each in names]}
        definitions |= zip(names, map(_plain, cases), strict=True)
    # Generators would name a class after the title.
    report = {key: value for key, value in document.items() if key not in ("title", "$defs")}
    return {**_plain(report), "description": document["title"], "$defs": definitions}


def _is_dispatch(node: Json) -> bool:
    """Whether the node chooses a definition for each value of one property."""
    branches = node.get("allOf", ())
    return bool(branches) and all("$ref" in branch["then"] for branch in branches)


def _branches(node: Json) -> Iterator[tuple[str, str, str]]:
    """Yield the property, its value and the definition for each branch of a dispatch."""
    for branch in node["allOf"]:
        [(key, condition)] = branch["if"]["properties"].items()
        [value] = condition["enum"]
        yield key, value, branch["then"]["$ref"]


def _union(node: Json) -> Json:
    mapping = {value: definition for _, value, definition in _branches(node)}
    key = next(key for key, _, _ in _branches(node))
    return {
        "oneOf": [{"$ref": definition} for definition in mapping.values()],
        "discriminator": {"propertyName": key, "mapping": mapping},
    }


def _restrictions(definitions: Json) -> Iterator[tuple[str, Json]]:
    """Yield what each definition that a dispatch chooses must also require: the value by which it is chosen."""
    for node in filter(_is_dispatch, definitions.values()):
        for key, value, definition in _branches(node):
            yield (
                definition.removeprefix(_DEFS),
                {"type": "object", "properties": {key: {"type": "string", "const": value}}, "required": [key]},
            )


def _plain(node: Any) -> Json:  # noqa: ANN401 - a schema may also be true
    """Return the schema with the schemas inside it published."""
    if node is True:
        return {}
    plain: Json = dict(node)
    if "enum" in node and None not in node["enum"]:
        # Some generators need the type of an enumeration.
        plain["type"] = "string"
    if "default" in node:
        # Some generators require a property that has a default.
        text = f"Default: {json.dumps(plain.pop('default'))}."
        plain["description"] = f"{node['description']} {text}" if "description" in node else text
    if "properties" in node:
        plain["properties"] = {key: _inner(value) for key, value in node["properties"].items()}
    if "items" in node:
        plain["items"] = _inner(node["items"])
    return plain


def _inner(node: Any) -> Json:  # noqa: ANN401 - a schema may also be true
    if node is True or not node.keys() & _CONDITIONAL:
        return _plain(node)
    cases = _cases({key: value for key, value in node.items() if key not in _ANNOTATIONS})
    annotations = _plain({key: node[key] for key in _ANNOTATIONS if key in node})
    return {**annotations, "oneOf": [_plain(case) for case in cases]}


def _cases(node: Json) -> list[Json]:
    """Return the cases that the conditions of a schema distinguish. They exclude each other."""
    cases = [{key: value for key, value in node.items() if key not in _CONDITIONAL}]
    conditions = [*node.get("allOf", ()), *([node] if "if" in node else ())]
    for each in conditions:
        cases = [case for base in cases for case in _split(base, each)]
    if "anyOf" in node:
        cases = [case for base in cases for case in _alternatives(base, node["anyOf"])]
    return [inner for case in cases for inner in (_cases(case) if case.keys() & _CONDITIONAL else [case])]


def _split(base: Json, condition: Json) -> Iterator[Json]:
    for holds, consequence in ((True, "then"), (False, "else")):
        restricted = _restricted(base, condition["if"], holds=holds)
        if restricted is not None:
            yield _merged(restricted, condition.get(consequence, {}))


def _alternatives(base: Json, alternatives: list[Json]) -> Iterator[Json]:
    """Split by which of several keys is the first one that is present; at least one of them is."""
    remaining: Json | None = base
    for each in alternatives:
        assert remaining is not None  # noqa: S101 - a key of an alternative is a key of the object
        present = _restricted(remaining, each, holds=True)
        if present is not None:
            yield present
        remaining = _restricted(remaining, each, holds=False)


def _restricted(base: Json, condition: Json, *, holds: bool) -> Json | None:
    """Return the schema of the documents for which the condition holds, or does not; None if there are none."""
    if "properties" in condition:
        [(key, expected)] = condition["properties"].items()
        values = [each for each in base["properties"][key]["enum"] if (each in expected["enum"]) == holds]
        return _merged(base, {"properties": {key: {"enum": values}}}) if values else None
    if "required" in condition:
        [key] = condition["required"]
        if holds:
            return _merged(base, {"required": [key]})
        return {**base, "properties": {name: each for name, each in base.get("properties", {}).items() if name != key}}
    if "minProperties" in condition:
        return _merged(base, {"minProperties": 1} if holds else {"maxProperties": 0})
    types = [each for each in _listed(base["type"]) if (each == condition["type"]) == holds]
    return {**base, "type": types[0] if len(types) == 1 else types} if types else None


def _listed(types: str | list[str]) -> list[str]:
    return [types] if isinstance(types, str) else types


def _merged(first: Json, second: Json) -> Json:
    """Return the schema of the documents that both accept. A definition is stricter than where it is referred to."""
    if "$ref" in second:
        return second
    merged = {**first, **second}
    for key in first.keys() & second.keys() & _MERGE.keys():
        merged[key] = _MERGE[key](first[key], second[key])
    if "properties" in merged:
        for each in (first, second):
            if each.get("additionalProperties") is False:
                allowed = each.get("properties", {})
                merged["properties"] = {key: value for key, value in merged["properties"].items() if key in allowed}
    return merged


def _both_properties(first: Json, second: Json) -> Json:
    return first | {key: _merged(_object(first.get(key)), _object(value)) for key, value in second.items()}


def _object(schema: Any) -> Json:  # noqa: ANN401 - a schema may also be true
    return schema if isinstance(schema, dict) else {}


_ANNOTATIONS: Final = ("description", "default")
_MERGE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "properties": _both_properties,
    "items": _merged,
    "required": lambda first, second: [*dict.fromkeys((*first, *second))],
    "enum": lambda first, second: [each for each in first if each in second],
    "maxItems": min,
    "minItems": max,
}
"""How two values of a keyword become the value that requires both. Of other keywords, the second one is stricter."""
