"""`make load`: starts the services, creates load, and compares the gateway with Druid alone."""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import Progress

from druid.errors import ClusterError
from gateway.druid.api.http import ServiceError
from gateway.ingest import IngestError
from tests.conftest import load_program
from tests.load import accounts, mix, report, target, usage
from tests.load.errors import LoadError
from tests.load.prepare import explained
from tests.load.scenario import Caller, Sample, Scenario

GENERATOR = target.SPECS / "samples" / "chat_sessions.py"
LOOPBACK = {"127.0.0.1", "localhost", "::1"}

app = typer.Typer(add_completion=False, rich_markup_mode="markdown")
console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Target:
    """The target of the requests. `gateway_pids` and `druid_pids` are processes started by this run."""

    gateway_url: str
    broker_url: str
    callers: tuple[Caller, ...]
    gateway_pids: tuple[int, ...] = ()
    druid_pids: tuple[int, ...] = ()


def _loopback(url: str | None) -> str | None:
    if url is not None and urlsplit(url).hostname not in LOOPBACK:
        raise typer.BadParameter("a load test uses this machine only: give an address of 127.0.0.1")
    return url.rstrip("/") if url is not None else None


@app.command()
def main(
    *,
    seconds: Annotated[int, typer.Option(min=5, max=3600, help="Duration of the load.")] = 60,
    users: Annotated[int, typer.Option(min=1, max=200, help="Number of concurrent users without pauses.")] = 4,
    organizations: Annotated[
        int,
        typer.Option(min=2, max=500, help="Organizations; with --broker, those that the sample data was made with."),
    ] = 40,
    sessions: Annotated[
        int, typer.Option(min=100, help="Number of generated chat sessions, with three rows each.")
    ] = 40_000,
    seed: Annotated[int, typer.Option(help="Seed of data and requests; with --broker, that of the sample data.")] = 1,
    broker: Annotated[
        str | None, typer.Option(metavar="URL", callback=_loopback, help="A Druid with sample data.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", callback=_loopback, help="A running gateway; needs --broker and --accounts."),
    ] = None,
    accounts_command: Annotated[
        str | None,
        typer.Option(
            "--accounts", metavar="COMMAND", help="The command `gateway accounts` of that gateway, to create tokens."
        ),
    ] = None,
) -> None:
    r"""Send typical requests to the gateway, and the same queries to Druid's broker, and compare the times.

    With no options it starts a Druid of its own on other ports, ingests generated chat sessions, starts the gateway,
    and stops everything at the end. Reports: var/load/report.md and var/load/report.json.

    The exit code is 0 when every answer was as expected: 200 with as many rows as before, 400 for a bad body, 401 for
    a wrong token.

    A Druid that runs already, with the sample data of `make run` (12 organizations), and a gateway of the run's own:

        python -m tests.load --broker http://127.0.0.1:8082 --organizations 12

    The compose stack:

        python -m tests.load --url http://127.0.0.1:8080 --broker http://127.0.0.1:8082 --organizations 12 \
          --accounts 'docker compose exec -T gateway gateway accounts'

    A gateway that runs keeps its limits. Where the largest organization asks more than 6,000 times a minute, raise its
    GATEWAY_REQUESTS_PER_MINUTE for the run.
    """
    if (url is None) != (accounts_command is None) or (url is not None and broker is None):
        raise typer.BadParameter("--url, --broker and --accounts go together", param_hint="--url")
    # On SIGTERM it stops what it started, as on Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    target.VAR.mkdir(parents=True, exist_ok=True)
    program = load_program("sample_chat_sessions", GENERATOR)
    ids = [each.organization_id for each in program.organizations(organizations, seed)]
    shape = {"sessions": sessions, "organizations": organizations, "seed": seed}
    try:
        with ExitStack() as stack:
            if url is not None and broker is not None and accounts_command is not None:
                asked = _given(url, broker, shlex.split(accounts_command), ids)
            else:
                asked = stack.enter_context(_started(broker, ids, shape))
            scenario = _prepared(asked, seed)
            samples, used = _load(scenario, asked, users, seconds)
    except (LoadError, ClusterError, IngestError, ServiceError) as error:
        console.print(str(error), style="bold red", markup=False)
        raise typer.Exit(2) from error
    settings = {"users": str(users), "seconds": str(seconds), "organizations": str(organizations)}
    if broker is None:
        settings["sessions"] = f"{sessions:,}"
    if not _reported(report.figures(samples, settings, used)):
        raise typer.Exit(1)


def _given(url: str, broker: str, command: list[str], ids: list[str]) -> Target:
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("Making tokens", total=len(ids))
        callers = accounts.make_by_command(command, ids, lambda done: progress.update(bar, completed=done))
    return Target(url, broker, callers)


@contextmanager
def _started(broker: str | None, ids: list[str], shape: dict[str, int]) -> Iterator[Target]:
    with ExitStack() as stack:
        druid_pids: tuple[int, ...] = ()
        if broker is None:
            druid = stack.enter_context(target.druid(console, GENERATOR, shape))
            broker, druid_pids = druid.url, druid.pids
        database_url, secret = target.fresh_accounts()
        callers = asyncio.run(accounts.make(database_url, secret, ids))
        gateway = stack.enter_context(target.gateway(broker, database_url, secret))
        console.print(f"The gateway is {gateway.url}, in front of {broker}")
        yield Target(gateway.url, broker, callers, gateway.pids, druid_pids)


def _prepared(asked: Target, seed: int) -> Scenario:
    questions = tuple(mix.questions(asked.callers, seed))
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("Asking each question once", total=len(questions))
        ready = asyncio.run(explained(asked.gateway_url, questions, lambda done: progress.update(bar, completed=done)))
    empty = {each.path for each in ready if each.kind == mix.LARGEST and each.rows == 0}
    if len(empty) * 2 > len(asked.callers):
        raise LoadError("Most organizations have no rows. --organizations and --seed must be those of the sample data.")
    console.print(
        f"{len(ready)} questions of {len(asked.callers)} organizations; the largest answer has "
        f"{max(each.rows or 0 for each in ready):,} rows"
    )
    return Scenario(asked.gateway_url, asked.broker_url, ready, tuple(mix.intrusions(asked.callers)))


def _load(scenario: Scenario, asked: Target, users: int, seconds: int) -> tuple[list[Sample], report.Usage]:
    """Run Locust, and return all samples and the used processor time."""
    with tempfile.TemporaryDirectory() as folder, (target.VAR / "locust.log").open("wb") as log:
        given, found = Path(folder) / "scenario.json", Path(folder) / "samples.json"
        given.touch(mode=0o600)
        given.write_bytes(TypeAdapter(Scenario).dump_json(scenario))
        # One more for the user without a valid token.
        everyone = str(users + 1)
        command = [sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py")), "--headless"]
        command += ["--users", everyone, "--spawn-rate", everyone, "--run-time", f"{seconds}s", "--stop-timeout", "75"]
        began, before = time.monotonic(), _processor_time(asked)
        process = subprocess.Popen(
            command,
            cwd=target.ROOT,
            env={**os.environ, "LOAD_SCENARIO": str(given), "LOAD_SAMPLES": str(found)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            _watch(process, seconds)
        finally:
            process.kill()
            process.wait()
        after = _processor_time(asked)
        samples = TypeAdapter(list[Sample]).validate_json(found.read_bytes()) if found.exists() else []
        # Locust also exits with this code after unexpected responses, which the report lists.
        if process.returncode and not any(each.failure for each in samples):
            raise LoadError(f"Locust ended with code {process.returncode}; {target.VAR / 'locust.log'} says why.")
        gateway, druid, locust = (end - start for end, start in zip(after, before, strict=True))
        return samples, report.Usage(
            cores=os.cpu_count() or 1,
            seconds=time.monotonic() - began,
            gateway=gateway if asked.gateway_pids else None,
            druid=druid if asked.druid_pids else None,
            locust=locust,
            load_average=os.getloadavg()[0],
        )


def _processor_time(asked: Target) -> tuple[float, float, float]:
    return usage.seconds_of(asked.gateway_pids), usage.seconds_of(asked.druid_pids), usage.seconds_of_ended_children()


def _watch(process: subprocess.Popen[bytes], seconds: int) -> None:
    """Wait for the end of the process, at most as long as its slowest responses may take."""
    began = time.monotonic()
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("Asking", total=seconds)
        while process.poll() is None:
            gone = time.monotonic() - began
            if gone > seconds + 120:
                raise LoadError(f"Locust does not end; {target.VAR / 'locust.log'} says more.")
            progress.update(bar, completed=min(gone, seconds))
            time.sleep(0.25)


def _reported(found: report.Figures) -> bool:
    """Write both reports, show one, and return whether everything was as expected."""
    text = report.markdown(found)
    (target.VAR / "report.md").write_text(text, encoding="utf-8")
    (target.VAR / "report.json").write_bytes(TypeAdapter(report.Figures).dump_json(found, indent=2))
    console.print(text, markup=False)
    console.print(f"{target.VAR}/report.md and report.json hold this.")
    return not found.failures


if __name__ == "__main__":
    app()
