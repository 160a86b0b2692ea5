"""How much memory answers take together, from Druid's first byte until the caller has the last: a bounded amount.

What no room is left for is refused. Half is the most for one organization, unless it is for a single answer.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import MemoryExhausted

GROWTH = 6
"""Bytes that an answer takes once it is parsed, for each that Druid sent: 5 usually, 13 where all values are tiny."""


class Memory:
    """Room for `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Bytes that are taken."""
        return self._held.total()

    @contextmanager
    def room(self, organization_id: str) -> Iterator["Room"]:
        """Room for one answer, empty at first, given back at the end."""
        room = Room(self, organization_id)
        try:
            yield room
        finally:
            room.resize(0)

    def _resize(self, organization_id: str, before: int, after: int) -> None:
        theirs = self._held[organization_id] - before + after
        if after > before:
            too_much = self.held - before + after > self._most
            if too_much or (theirs > self._most // 2 and theirs > after):
                raise MemoryExhausted(
                    "Too many large answers are on their way. Ask again later.", headers={"Retry-After": "1"}
                )
        if theirs:
            self._held[organization_id] = theirs
        else:
            self._held.pop(organization_id, None)


class Room:
    """The room that one answer takes."""

    def __init__(self, memory: Memory, organization_id: str) -> None:
        self._memory = memory
        self._organization_id = organization_id
        self._size = 0

    def resize(self, size: int) -> None:
        """Take so many bytes instead of what was taken before; raises MemoryExhausted where there are not as many."""
        self._memory._resize(self._organization_id, self._size, size)  # noqa: SLF001 - they are one
        self._size = size
