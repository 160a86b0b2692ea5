"""The output of `gateway accounts`: tables for people, JSON for programs."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE = 1000  # columns if the output is not a terminal: a program gets each row on one line


def show(records: Sequence[BaseModel], *, columns: Sequence[str], as_json: bool) -> None:
    """Print many records."""
    if as_json:
        print(json.dumps([_plain(record) for record in records], indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # Folded, so that a narrow terminal shows every character of an id.
        table.add_column(column.removesuffix("_at").replace("_", " "), overflow="fold")
    for record in records:
        # As Text: square brackets in a name are not markup.
        table.add_row(*(Text(_cell(getattr(record, column))) for column in columns))
    console.print(table)


def show_one(record: BaseModel, *, sentence: str, as_json: bool) -> None:
    """Print one record: as JSON, or as this sentence about it."""
    print(json.dumps(_plain(record), indent=2, ensure_ascii=False) if as_json else sentence)


def _plain(record: BaseModel) -> dict[str, object]:
    row = record.model_dump(mode="json")
    if "permissions" in row:
        row["permissions"] = sorted(row["permissions"])
    return row


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
        case frozenset():
            return ", ".join(sorted(value)) or "-"
        case _:
            # Names from earlier releases can contain control characters, which a terminal would execute.
            return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in str(value))
