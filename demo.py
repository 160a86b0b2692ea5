"""`make run`: a Druid cluster, sample data, demo organizations and the gateway, until Ctrl-C.

All files are below var/. At the end it stops what it started; a cluster that was already running stays up.
"""

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape

from druid.cluster import Cluster
from druid.display import LiveObserver, show_error
from druid.errors import ClusterError
from druid.lookups import register
from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts
from gateway.catalog.load import EXAMPLES, load_catalog
from gateway.catalog.model import Dataset
from gateway.configuration import SETTINGS_FILE, variable_of
from gateway.druid.api.http import ServiceError
from gateway.druid.settings import DruidAccess
from gateway.ingest.batch import display
from gateway.ingest.batch.run import ingest
from gateway.ingest.batch.spec import parse
from gateway.ingest.clients import DruidUrls
from gateway.ingest.errors import IngestError

ROOT = Path(__file__).parent
VAR = ROOT / "var"
SPECS = ROOT / "ingestion-specs"

ORGANIZATION = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"
PARTNER = "c7d0f6a4-1c5e-11e5-9f3c-6c4008adf7e8"
USER = "demo@example.com"
EXAMPLE = {
    "interval": {
        "start": "2019-01-01T00:00:00.000+02:00",
        "end": "2019-01-01T23:59:59.999+02:00",
        "time_zone": "Europe/Helsinki",
    },
    "granularity": "all",
    "group_by": [],
    "aggregations": [{"type": "hyperUnique", "fields": ["visitor_ids"]}],
    "filters": {
        "type": "and",
        "fields": [
            {"type": "selector", "dimension": "scope", "value": "org"},
            {"type": "selector", "dimension": "chat_type", "value": "visitor"},
            {"type": "selector", "dimension": "chat_initiator", "value": "visitor"},
        ],
    },
}
"""The example of the public Chat Sessions API: visitors who started a chat on 2019-01-01, Helsinki time."""

console = Console(highlight=False, soft_wrap=True)


class DemoError(Exception):
    """The message names the problem and the remedy."""


def main() -> int:
    """Run the demo; the exit code is 0 after Ctrl-C or SIGTERM."""
    began = time.monotonic()
    _forget_other_gateway()
    # A shell that starts this in the background makes it ignore SIGINT; undo that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        port = _port()
        with _druid() as cluster:
            for dataset in load_catalog().values():
                _fill(dataset, cluster)
            _name(cluster)
            environment = _environment(port, cluster)
            token = asyncio.run(_accounts(environment))
            with _gateway(environment) as process:
                _write_env(port, token, cluster)
                _ask(port, token, process)
                console.print(
                    f"\nUp after {time.monotonic() - began:.0f} s. Ctrl-C stops everything that this command started."
                )
                process.wait()
                console.print(f"\n[bold red]The gateway ended with code {process.returncode}; its log is above.[/]")
                return 1
    except ClusterError as error:
        console.print()
        show_error(console, error)
        return 1
    except (IngestError, ServiceError, DemoError) as error:
        console.print(f"\n[bold red]{escape(str(error))}[/]")
        return 1
    except KeyboardInterrupt:
        console.print("\nEverything that this command started has stopped.")
        return 0


def _forget_other_gateway() -> None:
    """Remove the variables that lead to the accounts, the data sets and the services of the user's own gateway."""
    names = ("database_url", "token_secret", "catalog", "druid_broker_url", "druid_coordinator_url", "limits_url")
    foreign = [variable_of(name) for name in (*names, *DruidAccess.model_fields)]
    foreign += [SETTINGS_FILE, *(f"{name}_FILE" for name in foreign)]
    # The gateway reads variables in lower case, too.
    for name in [name for name in os.environ if name.upper() in foreign]:
        del os.environ[name]


def _port() -> int:
    text = os.environ.get("GATEWAY_PORT") or "8080"
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < (port := int(text)) < 2**16:
        raise DemoError(f"GATEWAY_PORT is {text!r}, not a number from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise DemoError(
                f"Port {port} is used by another process. Stop it, or choose another port: GATEWAY_PORT=8090 make run"
            ) from error
    return port


@contextmanager
def _druid() -> Iterator[Cluster]:
    cluster = Cluster.from_environment()
    with LiveObserver(console, "Starting Druid") as observer:
        started = cluster.start(observer=observer)
    console.print(f"Druid {'is up' if started else 'is already running'}: broker {cluster.broker_url}")
    try:
        yield cluster
    finally:
        if started:
            # A second Ctrl-C must not leave a part of the cluster running.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            with LiveObserver(console, "Stopping Druid") as observer:
                cluster.stop(observer=observer)


def _fill(dataset: Dataset, cluster: Cluster) -> None:
    """Ingest sample rows of the data set, unless Druid already has rows of it."""
    if asyncio.run(_has_rows(dataset, cluster)):
        console.print(f"{dataset.title}: Druid already has data")
        return
    sample = VAR / "samples" / f"{dataset.name}.jsonl.gz"
    sample.parent.mkdir(parents=True, exist_ok=True)
    generator = SPECS / "samples" / f"{dataset.name}.py"
    subprocess.run([sys.executable, generator, "--out", sample], check=True)
    path = SPECS / f"{dataset.name}.json"
    spec = parse(path.name, path.read_text(encoding="utf-8"), {dataset.name: dataset}, brings_files=True)
    druid = DruidUrls.parse(cluster.coordinator_url, cluster.broker_url)
    with display.progress_bar(console) as bar:
        result = asyncio.run(ingest(spec, druid, files=[sample], on_progress=bar))
    display.summary(console, result)


def _name(cluster: Cluster) -> None:
    """Give Druid the names of the sample data's users, teams and rooms."""
    file = VAR / "samples" / "names.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, SPECS / "samples" / "names.py", "--out", file], check=True)
    register(cluster.coordinator_url, json.loads(file.read_text(encoding="utf-8")))


async def _has_rows(dataset: Dataset, cluster: Cluster) -> bool:
    query = {"queryType": "timeBoundary", "dataSource": dataset.data_source}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{cluster.broker_url}/druid/v2", json=query) as response,
    ):
        return response.status == 200 and bool(await response.json())


def _environment(port: int, cluster: Cluster) -> dict[str, str]:
    secret = VAR / "demo-token-secret"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(32), encoding="utf-8")
    return {
        # Two slots for each processing thread of the historical.
        "GATEWAY_DRUID_QUERIES": "4",
        "GATEWAY_DRUID_HEAVY_QUERIES": "2",
        **os.environ,
        "GATEWAY_DATABASE_URL": f"sqlite:///{VAR / 'demo-accounts.db'}",
        "GATEWAY_TOKEN_SECRET": secret.read_text(encoding="utf-8"),
        "GATEWAY_CATALOG": f"{EXAMPLES},{SPECS / 'samples' / 'operators.yaml'}",
        "GATEWAY_PORT": str(port),
        "GATEWAY_DRUID_BROKER_URL": cluster.broker_url,
        "GATEWAY_DRUID_COORDINATOR_URL": cluster.coordinator_url,
    }


async def _accounts(environment: dict[str, str]) -> str:
    """Create the demo's organizations and user if they are missing, and replace the last token by a new one."""
    settings = AccountSettings(
        database_url=SecretStr(environment["GATEWAY_DATABASE_URL"]),
        token_secret=SecretStr(environment["GATEWAY_TOKEN_SECRET"]),
    )
    async with Accounts(settings) as accounts:
        await accounts.migrate()
        async with accounts.administration() as administration:
            await administration.organizations.ensure(ORGANIZATION, "Demo")
            await administration.organizations.ensure(PARTNER, "Partner of Demo")
            await administration.partnerships.ensure(ORGANIZATION, PARTNER)
            await administration.users.ensure(USER, ORGANIZATION, ["reports"])
            return (await administration.tokens.replace(USER, "demo")).text


@contextmanager
def _gateway(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    # In a new session, so that Ctrl-C reaches only this process, which then stops everything in order.
    process = subprocess.Popen([sys.executable, "-m", "gateway", "serve"], env=environment, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _write_env(port: int, token: str, cluster: Cluster) -> None:
    values = {
        "GATEWAY_URL": f"http://127.0.0.1:{port}",
        "GATEWAY_TOKEN": token,
        "GATEWAY_ORGANIZATION_ID": ORGANIZATION,
        "GATEWAY_PARTNER_ORGANIZATION_ID": PARTNER,
        "DRUID_BROKER_URL": cluster.broker_url,
    }
    path = VAR / "demo.env"
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")


def _ask(port: int, token: str, process: subprocess.Popen[bytes]) -> None:
    """Send the documented example, and show it as a curl command with the response."""
    url = f"http://127.0.0.1:{port}/api/reporting/v1/orgs/{ORGANIZATION}/chat_sessions"
    answer = asyncio.run(_answer(url, token, process))
    console.print(
        "\nThe documented example of the public API, with the token of var/demo.env:\n\n"
        f"  . {VAR.relative_to(ROOT)}/demo.env\n"
        "  curl $GATEWAY_URL/api/reporting/v1/orgs/$GATEWAY_ORGANIZATION_ID/chat_sessions \\\n"
        "    -H \"Authorization: Token $GATEWAY_TOKEN\" -H 'Content-Type: application/json' \\\n"
        f"    -d '{json.dumps(EXAMPLE)}'\n",
        markup=False,
    )
    console.print_json(json.dumps(answer))


async def _answer(url: str, token: str, process: subprocess.Popen[bytes]) -> object:
    deadline = time.monotonic() + 30
    async with aiohttp.ClientSession(headers={"Authorization": f"Token {token}"}) as session:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                async with session.post(url, json=EXAMPLE) as response:
                    answer = await response.json(content_type=None)
                    if response.status == 200:
                        return answer
                    raise DemoError(f"The gateway responded to the documented example with {response.status}: {answer}")
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.1)
    raise DemoError("The gateway did not start; its log is above.")


if __name__ == "__main__":
    sys.exit(main())
