"""YAML text with the position of each value, so that a problem found later can name its line and column.

The text is YAML 1.2, as editors read it: `no` is a string and not a boolean. Two features of YAML are rejected:
aliases, which can make a short text very large, and tags, which say nothing that the schema does not say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

DEEPEST = 10
"""Levels of lists and mappings; a data set has four."""

_TAG = "tag:yaml.org,2002:"
_TYPES = frozenset({"map", "seq", "str", "null", "bool", "int", "float", "timestamp", "value"})

Keys = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""


class Position(NamedTuple):
    """A position in a file, counted from 1."""

    line: int
    column: int


class Finding(NamedTuple):
    """A problem in a file's text."""

    position: Position
    message: str


class InvalidYaml(Exception):
    """The text cannot be read at all."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Document:
    """The value of a YAML text. `findings` are problems that leave the rest readable, such as a duplicate key."""

    value: Any
    findings: tuple[Finding, ...]
    _values: Mapping[Keys, Position]
    _keys: Mapping[Keys, Position]

    def position(self, *keys: str | int) -> Position:
        """Return where the value is, or the nearest value around it that exists."""
        while keys and keys not in self._values:
            keys = keys[:-1]
        return self._values[keys]

    def key_position(self, *keys: str | int) -> Position:
        """Return where the last of the keys stands."""
        return self._keys.get(keys) or self.position(*keys)


def read_document(text: str) -> Document:
    """Read the text; raises InvalidYaml."""
    try:
        _reject_aliases_and_depth(text)
        node = _yaml().compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = f"{error.context}: {error.problem}" if error.context else str(error.problem)
        raise InvalidYaml(Finding(_position(mark), f"is not valid YAML: {problem}")) from error
    except ReaderError as error:
        before = text[: error.position].split("\n")
        message = f"is not valid YAML: the character U+{error.character:04X} is not allowed"
        raise InvalidYaml(Finding(Position(len(before), len(before[-1]) + 1), message)) from error
    # ruamel.yaml passes on what `chr` and `int` say of "\\UFFFFFFFF" and of %YAML 1.x.
    except (YAMLError, ValueError, ArithmeticError) as error:
        message = "is not valid YAML: it contains an escape or a directive that does not exist"
        raise InvalidYaml(Finding(Position(1, 1), message)) from error
    if node is None:
        raise InvalidYaml(Finding(Position(1, 1), "is empty"))
    reader = _Reader()
    value = reader.read(node, ())
    return Document(value, tuple(reader.findings), reader.values, reader.keys)


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _reject_aliases_and_depth(text: str) -> None:
    """Read the events alone: this neither recurses nor expands anything."""
    depth = 0
    for event in _yaml().parse(text):
        if isinstance(event, AliasEvent):
            raise InvalidYaml(
                Finding(_position(event.start_mark), f"aliases (*{event.anchor}) are not allowed: repeat the value")
            )
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            raise InvalidYaml(Finding(_position(event.start_mark), f"has more than {DEEPEST} levels"))


def _position(mark: StringMark | None) -> Position:
    return Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)


class _Reader:
    """Turns nodes into values and notes where each one stands."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.values: dict[Keys, Position] = {}
        self.keys: dict[Keys, Position] = {}

    def read(self, node: Node, keys: Keys) -> Any:  # noqa: ANN401 - a YAML value of any type
        self.values[keys] = _position(node.start_mark)
        self._check_tag(node)
        match node:
            case MappingNode():
                return self._mapping(node, keys)
            case SequenceNode():
                return [self.read(child, (*keys, index)) for index, child in enumerate(node.value)]
            case _:
                return self._scalar(node)

    def _mapping(self, node: MappingNode, keys: Keys) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, child in node.value:
            if not isinstance(key_node, ScalarNode) or key_node.tag != f"{_TAG}str":
                self._find(key_node, "a key must be a word")
                continue
            key = self._scalar(key_node)
            if key in found:
                first = self.keys[(*keys, key)]
                self._find(key_node, f"the key {key!r} is already in line {first.line}")
                continue
            self.keys[(*keys, key)] = _position(key_node.start_mark)
            found[key] = self.read(child, (*keys, key))
            if found[key] is None:
                # An empty value stands wherever the next line begins.
                self.values[(*keys, key)] = self.keys[(*keys, key)]
        return found

    def _scalar(self, node: Node) -> Any:  # noqa: ANN401 - a YAML value of any type
        text = str(node.value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self._find(node, "contains an escape that is not a character")
            return text.encode(errors="replace").decode()
        match str(node.tag).removeprefix(_TAG):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" | "float":
                # No value of a data set is a number; which one it is does not matter.
                return 0
            case "timestamp" | "value":
                self._find(node, f"write {text!r} in quotes")
        return text

    def _check_tag(self, node: Node) -> None:
        tag = str(node.tag)
        if tag.removeprefix(_TAG) not in _TYPES:
            self._find(node, f"the tag {tag!r} is not allowed")

    def _find(self, node: Node, message: str) -> None:
        self.findings.append(Finding(_position(node.start_mark), message))
