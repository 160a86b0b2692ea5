"""The figures of a run, in var/faults/report.md and report.json. Pure except for `write`."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faults.trial import Fault

VAR = Path(__file__).parents[2] / "var" / "faults"


@dataclass(frozen=True, slots=True)
class Figures:
    """One fault: numbers of responses, times in seconds. `slowest_error` is None without errors."""

    fault: str
    lasted: float
    right: int
    wrong: int
    errors: dict[str, int]
    slowest_right: float
    slowest_error: float | None
    recovery: float
    tidy: float

    @classmethod
    def of(cls, fault: Fault) -> "Figures":
        """Return the figures of a finished fault."""
        outcome = fault.outcome
        errors = [took for (status, _), took in outcome.slowest.items() if status != 200]
        return cls(
            fault.name,
            fault.lasted,
            outcome.right,
            outcome.wrong,
            {f"{status} {code}": count for (status, code), count in sorted(outcome.errors.items())},
            max((took for (status, _), took in outcome.slowest.items() if status == 200), default=0.0),
            max(errors, default=None),
            outcome.recovery,
            fault.tidy,
        )


_COLUMNS = (
    *("Fault", "Lasted", "Right", "Wrong", "Errors", "Slowest right", "Slowest error"),
    *("Right again after", "Nothing left after"),
)


def table(rows: Sequence[Figures]) -> str:
    """Return the rows as a Markdown table."""
    lines = [_COLUMNS, ("---",) * len(_COLUMNS), *(_cells(row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(rows: Sequence[Figures]) -> None:
    """Write the figures of a run, and overwrite those of the last one."""
    VAR.mkdir(parents=True, exist_ok=True)
    machine = f"On {os.cpu_count()} cores."
    (VAR / "report.md").write_text(f"{machine}\n\n{table(rows)}")
    (VAR / "report.json").write_text(json.dumps({"cores": os.cpu_count(), "faults": [asdict(row) for row in rows]}))


def _cells(row: Figures) -> tuple[str, ...]:
    errors = ", ".join(f"{count} of {kind}" for kind, count in row.errors.items()) or "none"
    return (
        row.fault,
        f"{row.lasted:.1f} s",
        str(row.right),
        str(row.wrong),
        errors,
        _milliseconds(row.slowest_right),
        "" if row.slowest_error is None else _milliseconds(row.slowest_error),
        f"{row.recovery:.2f} s",
        f"{row.tidy:.2f} s",
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
