"""What `gateway accounts` prints: tables for people, JSON for programs."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.access.records import Token

_WIDE = 1000  # columns, where the output is no terminal: a program downstream gets every cell whole


def show(records: Sequence[BaseModel], *, columns: Sequence[str], as_json: bool) -> None:
    """Print many records."""
    rows = [_plain(record) for record in records]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.removesuffix("_at").replace("_", " "), no_wrap=column.endswith("id"))
    for row in rows:
        # As Text: square brackets in somebody's name are no markup.
        table.add_row(*(Text(_cell(row[column])) for column in columns))
    console.print(table)


def show_one(record: BaseModel, *, sentence: str, as_json: bool) -> None:
    """Print what became of one record."""
    print(json.dumps(_plain(record), indent=2, ensure_ascii=False) if as_json else sentence)


def _plain(record: BaseModel) -> dict[str, object]:
    row = record.model_dump(mode="json")
    if "permissions" in row:
        row["permissions"] = sorted(row["permissions"])
    if isinstance(record, Token):
        row["state"] = _state(record)
    return row


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return "revoked"
    expired = token.expires_at is not None and token.expires_at <= datetime.now(UTC)
    return "expired" if expired else "active"


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "-"
        case _:
            return str(value)
