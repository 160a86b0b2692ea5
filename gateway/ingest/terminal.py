"""Text from data, Druid and file names on a terminal: none of it may contain control sequences or markup."""

import re
from typing import Final

from rich.markup import escape

# Control characters, those that reorder text, and halves of surrogate pairs, which stand for bytes of file names.
_UNSAFE: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Return the text with everything that a terminal would interpret written out, such as `\x1b`. Keeps newlines."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def markup(text: object) -> str:
    """Return the text for rich, which then shows it as it is."""
    return escape(visible(str(text)))
