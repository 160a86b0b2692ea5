"""The rules of a data set file: first its shape, which dataset.schema.json describes, then how its values fit together.

Both stages report every problem they find; each problem names the position of the value that is wrong.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jsonschema import Draft7Validator, ValidationError

from gateway.catalog.contradictions import contradictions
from gateway.catalog.document import Document, Finding, Keys
from gateway.catalog.wording import TYPE_NAMES, nearest, shown

SCHEMA_FILE = Path(__file__).with_name("dataset.schema.json")
SCHEMA: Mapping[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
"""The shape of a data set file."""

_VALIDATOR = Draft7Validator(SCHEMA)


def findings(document: Document) -> Iterator[Finding]:
    """Yield what is wrong with the document: nothing, if it describes a data set."""
    wrong: set[Keys] = set()
    for error in _VALIDATOR.iter_errors(document.value):
        wrong.add(tuple(error.absolute_path)[:2])
        yield from _shape(error, document)
    if isinstance(document.value, dict):
        for keys, message in contradictions(_sound_parts(document.value, wrong)):
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


_WANTED: Mapping[str, str] = MappingProxyType(
    {"object": TYPE_NAMES[dict], "array": "a list", "string": "a text", "boolean": "true or false"}
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
        "minProperties": lambda _, __, schema: f"needs one of: {', '.join(schema['properties'])}",
        "minItems": lambda _, least, __: f"must have at least {least} element{'s' * (least != 1)}",
        "uniqueItems": lambda _, __, ___: "lists a value twice",
    }
)
