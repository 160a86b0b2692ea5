"""What the gateway adds to Druid's time, and what a request costs it, beside other ways to reach Druid.

Measured in turns within one run: Druid's broker directly, nginx in front of it, a minimal gateway without checks, the
gateway, and another checkout of it (--before). Each of three reports is requested by 1, 8 and 32 callers, each request
different; then one request is repeated; then come answers of 20,000 and 100,000 rows. What counts is the ratios: other
programs on the machine slow all servers down alike.

Needs wrk and nginx. Without --broker it starts a Druid of its own with generated sessions. With --canned, a server that
answers at once stands in for Druid: the CPU time per request is then the gateway's own, and takes a minute to measure.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks import contenders, measure
from benchmarks.command import BenchError
from benchmarks.contenders import ROOT, Contender
from benchmarks.measure import Load, Measurement, Requests
from benchmarks.questions import ALL_QUESTIONS, START, Question
from benchmarks.tables import Report
from druid.cluster import Cluster
from druid.errors import ClusterError
from tests.load import target
from tests.load.errors import LoadError

RESULT = ROOT / "var" / "bench" / "peers.md"
GENERATOR = target.SPECS / "samples" / "chat_sessions.py"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
WARM_UP_SECONDS = 1
REPEATING_CALLERS = 8
LARGE_ANSWERS = 3
"""Large answers that each server gives in each round."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
messages = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Case:
    """A question, how many callers ask it at once, and whether all of their requests are identical."""

    question: Question
    callers: int = 1
    repeated: bool = False

    @property
    def title(self) -> str:
        """What the case is called in the tables."""
        if self.question.rows is not None:
            return self.question.title
        callers = "1 caller" if self.callers == 1 else f"{self.callers} callers"
        return f"{self.question.title}, {'repeated, ' if self.repeated else ''}{callers}"


def _loopback(url: str | None) -> str | None:
    if url is not None and urlsplit(url).hostname not in LOOPBACK:
        raise typer.BadParameter("a load test loads this machine alone: give an address of 127.0.0.1")
    return url.rstrip("/") if url else None


@app.command(help=__doc__)
def main(  # noqa: PLR0913 - the options of a command
    *,
    broker: Annotated[
        str | None,
        typer.Option(envvar="DRUID_BROKER_URL", callback=_loopback, help="A Druid with the demo's sample data."),
    ] = None,
    coordinator: Annotated[
        str | None, typer.Option(envvar="DRUID_COORDINATOR_URL", callback=_loopback, help="That Druid's coordinator.")
    ] = None,
    sessions: Annotated[
        int, typer.Option(min=1000, help="Sessions to generate for a Druid of the run's own.")
    ] = 80_000,
    canned: Annotated[bool, typer.Option("--canned", help="Measure in front of a stand-in for Druid.")] = False,
    before: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, resolve_path=True, help="Another checkout, with .venv.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, max=60, help="How long each server is loaded at a time.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How many times each server has its turn.")] = 3,
    callers: Annotated[str, typer.Option(help="Numbers of callers, separated by commas.")] = "1,8,32",
    question: Annotated[
        list[str] | None,
        typer.Option(help=f"Only this one, again for more: {', '.join(each.name for each in ALL_QUESTIONS)}."),
    ] = None,
) -> None:
    # Terminated, it stops what it started, as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    numbers = [int(each) for each in callers.split(",")]
    chosen = [each for each in ALL_QUESTIONS if not question or each.name in question]
    target.VAR.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            if canned:
                broker = coordinator = stack.enter_context(contenders.canned_druid(folder / "canned.log"))
            elif broker is None:
                broker, coordinator = stack.enter_context(_druid(sessions))
            servers = list(_started(stack, broker, coordinator, before, folder))
            sent = _prepare(servers, chosen)
            results = _measure(servers, sent, _cases(chosen, numbers, sent), seconds, rounds)
    except (BenchError, ClusterError, LoadError) as error:
        messages.print(str(error), style="bold red", markup=False)
        raise typer.Exit(1) from error
    conditions = (
        f"{'A stand-in that answers at once for Druid' if canned else 'Druid'}, {os.cpu_count()} cores, medians of "
        f"{rounds} rounds of {seconds} s; gateway: {_commit(ROOT)}{f', before: {_commit(before)}' if before else ''}; "
        f"load average at the end {os.getloadavg()[0]:.1f}."
    )
    _show(Report(results, [each.name for each in servers], "minimal" if canned else "Druid"), conditions)


@contextmanager
def _druid(sessions: int) -> Iterator[tuple[str, str]]:
    """Run a Druid with generated sessions; the value is its broker's URL and its coordinator's."""
    shape = {"sessions": sessions, "organizations": 12, "seed": 1}
    with target.druid(messages, GENERATOR, shape) as druid:
        ports = {"DRUID_PORT_OFFSET": target.PORT_OFFSET, **os.environ}
        yield druid.url, Cluster.from_environment(ports).coordinator_url


def _started(
    stack: ExitStack, broker: str, coordinator: str | None, before: Path | None, folder: Path
) -> Iterator[Contender]:
    yield Contender("Druid", broker, contenders.QUERY_PATH, speaks_druid=True)
    try:
        yield stack.enter_context(contenders.nginx(broker, folder))
    except FileNotFoundError:
        messages.print(
            "nginx is not installed: ITS COLUMN WILL BE MISSING. On Debian and Ubuntu: apt-get install nginx-light",
            style="bold red",
        )
    yield stack.enter_context(contenders.minimal_gateway(broker, folder))
    if before is not None:
        yield stack.enter_context(contenders.gateway("before", before, broker, coordinator, folder))
    yield stack.enter_context(contenders.gateway("gateway", ROOT, broker, coordinator, folder))


def _prepare(servers: Sequence[Contender], questions: Sequence[Question]) -> dict[str, dict[str, Requests]]:
    """Return what to send, by question and server, after checking that all servers give the same answer to it.

    A question that the data is too small for is left out.
    """
    sent = {}
    gateway = servers[-1]
    for question in questions:
        moment = f"{question.first:%Y-%m-%dT%H:%M:%S}.000Z"
        explained = measure.ask_gateway(gateway, question.body(moment), "?explain=true")["queries"]["report"]
        native = orjson.dumps(explained).decode().replace(moment, START)
        requests = {each.name: Requests(question, native if each.speaks_druid else question.body()) for each in servers}
        if _have_one_answer(question, servers, requests):
            sent[question.name] = requests
    return sent


def _have_one_answer(question: Question, servers: Sequence[Contender], requests: Mapping[str, Requests]) -> bool:
    """Return whether the data is enough for the question. Raises BenchError if the servers' answers differ."""
    bodies = [(each, requests[each.name].body(0)) for each in servers]
    of_druid = {each.name: measure.ask_druid(each, body) for each, body in bodies if each.speaks_druid}
    of_gateways = {each.name: measure.ask_gateway(each, body) for each, body in bodies if not each.speaks_druid}
    rows, data = of_druid["Druid"], of_gateways["minimal"]["data"]
    if question.rows is not None and len(rows) < question.rows:
        messages.print(f"{question.title}: LEFT OUT, the data is enough for {len(rows):,} only.", style="bold red")
        return False
    if not rows or len(data) != len(rows):
        raise BenchError(f"{question.title}: no rows, or not as many as Druid has. Is this the demo's sample data?")
    different = [name for name, found in of_druid.items() if found != rows]
    expected = _normalized(of_gateways["minimal"])
    different += [name for name, found in of_gateways.items() if _normalized(found) != expected]
    if different:
        raise BenchError(f"{question.title}: {', '.join(different)} gave another answer than the others.")
    return True


def _normalized(answer: Mapping[str, Any]) -> object:
    """Return a gateway's answer with its rows in one order, 0 for a sum over no values, and sums rounded."""
    dimensions = sum(each["type"] == "dimension" for each in answer["fields"])
    rows = [
        [*(str(value) for value in row[:dimensions]), *(round(value or 0, 6) for value in row[dimensions:])]
        for row in answer["data"]
    ]
    return answer["fields"], sorted(rows)


def _cases(questions: Sequence[Question], callers: Sequence[int], sent: Mapping[str, object]) -> list[Case]:
    small = [each for each in questions if each.rows is None]
    large = [each for each in questions if each.rows is not None]
    cases = [Case(question, number) for question in small for number in callers]
    cases += [Case(question, REPEATING_CALLERS, repeated=True) for question in small]
    return [each for each in (*cases, *(Case(question) for question in large)) if each.question.name in sent]


def _measure(
    servers: Sequence[Contender],
    sent: Mapping[str, Mapping[str, Requests]],
    cases: Sequence[Case],
    seconds: int,
    rounds: int,
) -> dict[str, dict[str, list[Measurement]]]:
    results: dict[str, dict[str, list[Measurement]]]
    results = {case.title: {each.name: [] for each in servers} for case in cases}
    # No server is sent the same request twice, except where a case says so.
    used = Counter[tuple[str, str]]()

    def once(case: Case, server: Contender, seconds: int) -> Measurement:
        requests, key = sent[case.question.name][server.name], (case.question.name, server.name)
        if case.question.rows is not None:
            measured = measure.read_large_answers(server, requests, answers=LARGE_ANSWERS, first=used[key])
        else:
            load = Load(case.callers, seconds, used[key], case.repeated)
            measured = measure.send(server, requests, load)
        used[key] += measured.requests + case.callers
        return measured

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages) as progress:
        bar = progress.add_task("", total=(rounds + 1) * len(cases) * len(servers))
        for turn in range(rounds + 1):
            for case in cases:
                # Each round begins with another server.
                for server in (*servers[turn % len(servers) :], *servers[: turn % len(servers)]):
                    progress.update(bar, description=f"{case.title}: {server.name}", advance=1)
                    if turn == 0:
                        # The first round warms up Druid's JVMs and every server.
                        once(case, server, WARM_UP_SECONDS)
                    else:
                        results[case.title][server.name].append(once(case, server, seconds))
    return results


def _show(report: Report, conditions: str) -> None:
    for table in report.tables():
        out.print(table)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(f"{conditions}\n\n{report.markdown()}", encoding="utf-8")
    messages.print(f"{RESULT} contains these tables as Markdown.")


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


if __name__ == "__main__":
    app()
