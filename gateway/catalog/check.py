"""The rules of a data set file: first its shape, which dataset.schema.json describes, then how its values fit together.

Both stages report every problem they find; each problem names the position of the value that is wrong.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jsonschema import Draft7Validator, ValidationError

from gateway.catalog.document import Document, Finding, Keys
from gateway.catalog.id_format import INTEGER, NAMES, id_format
from gateway.catalog.model import AGGREGATIONS_OF, Kind

SCHEMA_FILE = Path(__file__).with_name("dataset.schema.json")

_VALIDATOR = Draft7Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def findings(document: Document) -> Iterator[Finding]:
    """Yield what is wrong with the document: nothing, if it describes a data set."""
    wrong: set[Keys] = set()
    for error in _VALIDATOR.iter_errors(document.value):
        wrong.add(tuple(error.absolute_path)[:2])
        yield from _shape(error, document)
    if isinstance(document.value, dict):
        for keys, message in _contradictions(_sound_parts(document.value, wrong)):
            yield Finding(document.position(*keys), message)


def _shape(error: ValidationError, document: Document) -> Iterator[Finding]:
    # The library's types allow None here; an error that was found has them all.
    rule: Any = error.validator
    wanted: Any = error.validator_value
    schema: Any = error.schema
    found: Any = error.instance
    path = tuple(error.absolute_path)
    if rule == "additionalProperties":
        allowed = list(schema["properties"])
        for key in (key for key in found if key not in allowed):
            message = f"unknown key {key!r}{nearest(key, allowed)}; allowed: {', '.join(allowed)}"
            yield Finding(document.key_position(*path, key), message)
    elif rule == "required":
        for key in (key for key in wanted if key not in found):
            yield Finding(document.position(*path), f"the key {key!r} is missing")
    else:
        name = f"{path[-1]}: " if path and isinstance(path[-1], str) else ""
        yield Finding(document.position(*path), name + _SENTENCES[rule](found, wanted, schema))


def _sound_parts(value: dict[str, Any], wrong: Iterable[Keys]) -> dict[str, Any]:
    """Return what the schema accepted. Of a wrong dimension only the name is kept, so that others can refer to it."""
    sound: dict[str, Any] = {}
    for key, part in value.items():
        if (key,) in wrong:
            continue
        if isinstance(part, list):
            sound[key] = [each if (key, index) not in wrong else _name_of(each) for index, each in enumerate(part)]
        elif not any(keys[:1] == (key,) for keys in wrong):
            sound[key] = part
    return sound


def _name_of(part: object) -> dict[str, Any]:
    name = part.get("name") if isinstance(part, dict) else None
    return {"name": name} if isinstance(name, str) else {}


def _contradictions(dataset: dict[str, Any]) -> Iterator[tuple[Keys, str]]:
    """Yield what is wrong between values that are each right, with the keys of the value to fix."""
    tenant: dict[str, str] = dataset.get("tenant", {})
    owner, partner = tenant.get("column"), tenant.get("partner_column")
    yield from ((("tenant", key), message) for key, message in _tenant(tenant))
    dimensions: list[dict[str, Any]] = dataset.get("dimensions", [])
    taken = {column: "the tenant" for column in (owner, partner) if column is not None}
    taken |= {column_of(each): f"the dimension {each['name']!r}" for each in dimensions if "name" in each}
    names: set[str] = set()
    for index, dimension in enumerate(dimensions):
        keys: Keys = ("dimensions", index)
        if (name := dimension.get("name")) in names:
            yield (*keys, "name"), f"there are two dimensions named {name!r}"
        if name is not None:
            names.add(name)
        if "description" not in dimension:  # the schema has rejected it
            continue
        yield from ((keys + rest, message) for rest, message in _dimension(dimension, tenant))
        if (metric := dimension.get("unique_metric")) is not None:
            if metric in taken:
                yield (*keys, "unique_metric"), f"{metric!r} is already the column of {taken[metric]}"
            taken[metric] = f"the unique_metric of {name!r}"
    for index, advice in enumerate(dataset.get("advice", [])):
        if (name := advice.get("dimension")) is not None and name not in names:
            yield ("advice", index, "dimension"), f"{name!r} is not a dimension of this data set{nearest(name, names)}"


def _tenant(tenant: dict[str, str]) -> Iterator[tuple[str, str]]:
    if "partner_column" in tenant and tenant["partner_column"] == tenant.get("column"):
        yield "partner_column", "partner_column must be another column than column"
    if (name := tenant.get("id_format")) is None:
        return
    if tenant.get("type") == "long" and name != INTEGER.name:
        yield "id_format", "the ids of a long column are integers: write integer, or leave the key out"
    elif re.fullmatch(r"\w+", name) and name not in NAMES:
        hint = nearest(name, NAMES)
        yield "id_format", f"{shown(name)} is neither {' nor '.join(NAMES)} nor a regular expression{hint}"
    else:
        try:
            id_format(name)
        except re.error as error:
            yield "id_format", f"{shown(name)} is not a regular expression: {error}"


def _dimension(dimension: dict[str, Any], tenant: dict[str, str]) -> Iterator[tuple[Keys, str]]:
    type_, column = dimension.get("type", "string"), column_of(dimension)
    aggregations = dimension.get("aggregations", ())
    possible = AGGREGATIONS_OF[Kind[type_.upper()]]
    for index, aggregation in enumerate(aggregations):
        if aggregation not in possible:
            message = f"{aggregation} cannot be computed from a {type_}; possible: {', '.join(possible)}"
            yield ("aggregations", index), message
    if type_ != "string":
        if dimension.get("multi_valued"):
            yield ("multi_valued",), f"only a string can have several values, not a {type_}"
        if "values" in dimension:
            yield ("values",), f"only a string can have a list of values, not a {type_}"
    if "unique_metric" in dimension and "hyperUnique" not in aggregations:
        yield ("unique_metric",), "a unique_metric is only used by hyperUnique: add it to aggregations"
    where = "column" if "column" in dimension else "name"
    if column == tenant.get("partner_column"):
        yield (where,), f"{column!r} is the tenant's partner_column: callers must not see who else was involved"
    wanted = tenant.get("type", "string")
    if column == tenant.get("column") and (type_ != wanted or dimension.get("multi_valued")):
        yield (where,), f"{column!r} is the tenant's column: it must be a {wanted} with one value in each row"


def column_of(dimension: dict[str, Any]) -> str:
    """Return the name of the dimension's column in Druid."""
    column: str = dimension.get("column", dimension["name"])
    return column


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return a question that proposes the most similar allowed name, or "" if none is similar."""
    matches = get_close_matches(name[:100], sorted(allowed), n=1, cutoff=0.6)
    return f" (did you mean {matches[0]!r}?)" if matches else ""


def shown(value: object) -> str:
    """Return a scalar as the file has it, without control characters."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}…")
    return _TYPE_NAMES[type(value)]


_TYPE_NAMES: Mapping[type, str] = MappingProxyType(
    {
        dict: "a mapping (key: value)",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        type(None): "nothing",
    }
)

_WANTED: Mapping[str, str] = MappingProxyType(
    {"object": _TYPE_NAMES[dict], "array": "a list", "string": "a text", "boolean": "true or false"}
)


def _wrong_type(found: object, wanted: str, _: object) -> str:
    quotes = ": write it in quotes" if wanted == "string" and isinstance(found, bool | int) else ""
    return f"must be {_WANTED[wanted]}, not {shown(found)}{quotes}"


def _not_one_of(found: object, wanted: list[str], _: object) -> str:
    hint = nearest(found, wanted) if isinstance(found, str) else ""
    return f"{shown(found)} is not allowed{hint}; one of: {', '.join(wanted)}"


_SENTENCES: Mapping[str, Callable[[Any, Any, Any], str]] = MappingProxyType(
    {
        "type": _wrong_type,
        "enum": _not_one_of,
        "not": lambda found, _, __: f"{shown(found)} is reserved for the gateway: choose another name",
        "pattern": lambda found, _, schema: f"{shown(found)} must be {schema['description']}",
        "minLength": lambda _, __, ___: "must not be empty",
        "maxLength": lambda _, most, __: f"must have at most {most} characters",
        "minItems": lambda _, least, __: f"must have at least {least} element{'s' * (least != 1)}",
        "uniqueItems": lambda _, __, ___: "lists a value twice",
    }
)
