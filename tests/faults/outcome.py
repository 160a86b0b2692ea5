"""Counts what callers got during a fault. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

RIGHT, WRONG = "right", "wrong"


@dataclass(frozen=True, slots=True)
class Seen:
    """One response. `asked` is a time of the event loop's clock, `took` is in seconds.

    `code` is RIGHT, WRONG (a 200 that is not the known answer), the code of an error, or what broke the connection to
    the gateway (`status` is 0 then).
    """

    asked: float
    took: float
    status: int
    code: str

    @property
    def answered(self) -> float:
        return self.asked + self.took


@dataclass(frozen=True, slots=True)
class Outcome:
    """`recovery`: seconds from the end of the fault to the last error of a request sent after it.

    `slowest`: the longest that an answer of each kind took, in seconds, of what was asked after the fault began.
    """

    right: int
    wrong: int
    errors: Counter[tuple[int, str]]
    slowest: dict[tuple[int, str], float]
    recovery: float

    @classmethod
    def of(cls, timeline: Iterable[Seen], *, began: float, ended: float) -> "Outcome":
        """Summarize the responses since the start of a fault."""
        seen = [each for each in timeline if each.answered >= began]
        slowest: dict[tuple[int, str], float] = {}
        for each in seen:
            if each.asked >= began:
                kind = (each.status, each.code)
                slowest[kind] = max(slowest.get(kind, 0.0), each.took)
        failed = [each for each in seen if each.code not in {RIGHT, WRONG}]
        return cls(
            right=sum(each.code == RIGHT for each in seen),
            wrong=sum(each.code == WRONG for each in seen),
            errors=Counter((each.status, each.code) for each in failed),
            slowest=slowest,
            recovery=max((each.answered - ended for each in failed if each.asked >= ended), default=0.0),
        )
