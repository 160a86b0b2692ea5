"""The tables of a run of `peers.py`: one per figure, a row per case, a column per server; rich and Markdown."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from benchmarks.measure import Measurement

Results = Mapping[str, Mapping[str, Sequence[Measurement]]]
"""By case and server: a measurement per round."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a measurement."""

    title: str
    pick: Callable[[Measurement], float | None]
    digits: int


CPU = Figure("CPU time per request, ms", lambda each: each.cpu, 3)
MEMORY = Figure("Peak resident memory, MB", lambda each: each.peak, 0)
FIGURES = (
    CPU,
    Figure("p50, ms", lambda each: each.p50, 1),
    Figure("p99, ms", lambda each: each.p99, 1),
    Figure("Requests per second", lambda each: each.per_second, 0),
    MEMORY,
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run has measured. `baseline` is the server that the others' times and throughput are compared with."""

    results: Results
    servers: Sequence[str]
    baseline: str

    def tables(self) -> Iterator[Table]:
        """Yield a rich table for each figure."""
        for figure in FIGURES:
            table = Table(title=self._title(figure), title_justify="left")
            table.add_column("", no_wrap=True)
            for server in self.servers:
                table.add_column(server, justify="right", no_wrap=True)
            for row in self._rows(figure):
                table.add_row(*row)
            yield table

    def markdown(self) -> str:
        """Return the same tables as Markdown."""
        parts = []
        for figure in FIGURES:
            lines = [["", *self.servers], ["---"] + ["---:"] * len(self.servers), *self._rows(figure)]
            parts.append(f"**{self._title(figure)}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
        return "\n\n".join(parts) + "\n"

    def _title(self, figure: Figure) -> str:
        compared = self._compared(figure)
        return figure.title if compared is None else f"{figure.title} (relative to {compared})"

    def _compared(self, figure: Figure) -> str | None:
        if figure is MEMORY:
            return None
        return "minimal" if figure is CPU else self.baseline

    def _rows(self, figure: Figure) -> Iterator[list[str]]:
        for case, found in self.results.items():
            yield [case, *(self._cell(figure, found, server) for server in self.servers)]

    def _cell(self, figure: Figure, found: Mapping[str, Sequence[Measurement]], server: str) -> str:
        values = [figure.pick(each) for each in found[server]]
        known = [value for value in values if value is not None]
        if not known:
            return "-"
        text = f"{statistics.median(known):,.{figure.digits}f}"
        compared = self._compared(figure)
        if compared is None or server == compared:
            return text
        # Within each round: the load of other programs on the machine differs from round to round.
        others = [figure.pick(each) for each in found[compared]]
        ratios = [mine / other for mine, other in zip(values, others, strict=True) if mine is not None and other]
        return f"{text} ({statistics.median(ratios):.2f})" if ratios else text
