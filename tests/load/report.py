"""Turns samples into figures, and figures into a Markdown and a JSON report. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from tests.load.mix import TITLES
from tests.load.scenario import Sample, Way

ALL_REPORTS = "all reports"


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds until the last byte: percentiles of `count` responses."""

    count: int
    per_second: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of request. `ratios` are the times of the gateway divided by those of Druid, for p50, p95 and p99."""

    kind: str
    gateway: Times | None
    druid: Times | None

    @property
    def ratios(self) -> tuple[float, float, float] | None:
        mine, other = self.gateway, self.druid
        if mine is None or other is None:
            return None
        return mine.p50 / other.p50, mine.p95 / other.p95, mine.p99 / other.p99


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of processor time while the load ran; None for processes that this run did not start."""

    cores: int
    seconds: float
    gateway: float | None
    druid: float | None
    locust: float
    load_average: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The results of a run. `failures` counts unexpected responses by their description."""

    settings: Mapping[str, str]
    seconds: float
    rows: tuple[Row, ...]
    usage: Usage
    failures: Mapping[str, int]


def figures(samples: Sequence[Sample], settings: Mapping[str, str], usage: Usage) -> Figures:
    """Return the figures of all samples. A kind without a response is a failure."""
    seconds = max(each.at + each.ms / 1000 for each in samples) - min(each.at for each in samples) if samples else 0.0
    failures = Counter(f"{each.kind} ({each.way}): {each.failure}" for each in samples if each.failure is not None)
    rows = [_row(kind, [each for each in samples if each.kind == kind], seconds) for kind in TITLES]
    failures.update(f"{row.kind}: never answered; let it run longer" for row in rows if row.gateway is None)
    reports = {row.kind for row in rows if row.druid is not None}
    rows.append(_row(ALL_REPORTS, [each for each in samples if each.kind in reports], seconds))
    return Figures(settings, seconds, tuple(rows), usage, dict(failures))


def _row(kind: str, samples: Sequence[Sample], seconds: float) -> Row:
    return Row(kind, *(_times([each for each in samples if each.way is way], seconds) for way in Way))


def _times(samples: Iterable[Sample], seconds: float) -> Times | None:
    times = sorted(each.ms for each in samples if each.failure is None)
    if not times:
        return None
    p50, p95, p99 = (times[ceil(len(times) * share) - 1] for share in (0.50, 0.95, 0.99))
    return Times(len(times), len(times) / seconds, p50, p95, p99)


def markdown(found: Figures) -> str:
    """Return the Markdown report."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Figures) -> Iterator[str]:
    yield "# Load test"
    yield ""
    yield f"{'PASSED' if not found.failures else 'FAILED'}: " + ", ".join(
        f"{name} {value}" for name, value in found.settings.items()
    )
    yield ""
    yield from _table(found.rows)
    yield ""
    yield "Milliseconds, p50 / p95 / p99. Ratio: the gateway's by Druid's, for the same queries in the same run."
    yield ""
    yield from _usage(found)
    if found.failures:
        yield ""
        yield "## Not as expected"
        yield ""
        yield from (f"- {count} times: {text}" for text, count in found.failures.items())


def _table(rows: Iterable[Row]) -> Iterator[str]:
    yield "| | answers | a second | gateway | Druid alone | ratio |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        title = TITLES.get(row.kind)
        name = f"`{row.kind}`: {title}" if title else f"**{row.kind}**"
        count, rate = (f"{row.gateway.count:,}", f"{row.gateway.per_second:.1f}") if row.gateway else ("0", "0")
        ratio = " / ".join(f"{each:.2f}" for each in row.ratios) if row.ratios else "-"
        yield f"| {name} | {count} | {rate} | {_cell(row.gateway)} | {_cell(row.druid)} | {ratio} |"


def _cell(times: Times | None) -> str:
    return "-" if times is None else f"{times.p50:.1f} / {times.p95:.1f} / {times.p99:.1f}"


def _usage(found: Figures) -> Iterator[str]:
    usage = found.usage
    capacity = usage.cores * usage.seconds
    parts = {"the gateway": usage.gateway, "Druid": usage.druid, "Locust": usage.locust}
    shares = ", ".join(f"{name} {part / capacity:.0%}" for name, part in parts.items() if part is not None)
    yield f"Processor time of {usage.cores} cores: {shares}. Load average at the end: {usage.load_average:.1f}."
    answers = sum(row.gateway.count for row in found.rows if row.gateway and row.kind != ALL_REPORTS)
    if usage.gateway is not None and answers:
        yield f"The gateway used {usage.gateway / answers * 1000:.2f} ms of it a request."
