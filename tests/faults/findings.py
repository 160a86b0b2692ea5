"""The results of the soak test: what failed, and a report."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults.load import Load
from tests.faults.outcome import RIGHT, WRONG

ORGANIZATIONS = 4
ERRORS = frozenset(
    {
        "bad_upstream_answer",
        "upstream_unavailable",
        "data_unavailable",
        "timeout",
        "rate_limited",
        "too_many_requests",
    }
)
"""The error codes that faults of Druid explain. They explain neither `internal` nor a broken connection."""


@dataclass(slots=True)
class Findings:
    """The results of a run. Memory is in bytes. `recoveries` has the longest recovery of each fault in seconds."""

    seed: int
    seconds: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    recoveries: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    right: int = 0
    wrong: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    unforeseen: dict[str, int] = field(default_factory=dict)
    memory_at_start: int = 0
    memory_at_end: int = 0
    tasks_at_start: int = 0
    tasks_at_end: int = 0
    left_behind: str = ""

    def count(self, load: Load) -> None:
        """Count the responses of callers."""
        codes = Counter(each.code for each in load.timeline)
        self.requests = codes.total()
        self.right, self.wrong = codes.pop(RIGHT, 0), codes.pop(WRONG, 0)
        self.errors = {code: count for code, count in codes.most_common() if code in ERRORS}
        self.unforeseen = {code: count for code, count in codes.items() if code not in ERRORS}

    @property
    def complaints(self) -> list[str]:
        """Return the failures; a good run has none."""
        found = []
        if self.wrong:
            found.append(f"{self.wrong} wrong answers")
        if self.unforeseen:
            found.append(f"errors that no fault of Druid's explains: {self.unforeseen}")
        if self.left_behind:
            found.append(self.left_behind)
        if self.tasks_at_end > self.tasks_at_start:
            found.append(f"{self.tasks_at_end - self.tasks_at_start} tasks leaked")
        if not self.right:
            found.append("nothing was answered")
        return found

    def table(self) -> str:
        """Return them as Markdown."""
        memory = self.memory_at_start / (1 << 20), self.memory_at_end / (1 << 20)
        rows = [
            ("Requests", f"{self.requests:,} in {self.seconds:,.0f} s, of {ORGANIZATIONS} organizations"),
            ("Faults", ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))),
            ("Right answers", f"{self.right:,}"),
            ("Wrong answers", str(self.wrong)),
            ("Errors", ", ".join(f"{count:,} `{code}`" for code, count in self.errors.items()) or "none"),
            ("Longest until all was right again", _longest(self.recoveries)),
            ("Memory at the start and the end", f"{memory[0]:.0f} and {memory[1]:.0f} MiB"),
            ("Tasks at the start and the end", f"{self.tasks_at_start} and {self.tasks_at_end}"),
        ]
        return "".join(f"| {name} | {value} |\n" for name, value in [("", f"seed {self.seed}"), ("---", "---"), *rows])


def _longest(recoveries: Mapping[str, float]) -> str:
    worst = sorted(recoveries.items(), key=lambda each: -each[1])[:5]
    return ", ".join(f"{seconds:.1f} s ({name})" for name, seconds in worst)
