"""A real Druid behind TLS, basic authentication and client certificates, with a path prefix for each service."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr
from structlog.testing import capture_logs

from gateway.web.context import SERVICES
from tests.certificates import CertificateAuthority
from tests.conftest import Druid
from tests.datasets import CHAT_SESSIONS
from tests.http.asking import Client
from tests.http.collector import Collector, collecting
from tests.live.ingestion import HAND_COUNTED, SHIPPED
from tests.live.reports import COUNT, ORG, SUMS, UNIQUES, report
from tests.live.secured import BASIC, MARKER, USER, SecuredDruid, securing
from tests.serving import serving, settings_for

HIDDEN = (MARKER, BASIC.removeprefix("Basic "))


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield collector


def access(secured: SecuredDruid) -> dict[str, Any]:
    return {
        "druid_coordinator_url": secured.coordinator,
        "druid_username": USER,
        "druid_password": SecretStr(MARKER),
        "druid_ca_file": secured.ca.file,
        "druid_client_cert": secured.client.certificate,
        "druid_client_key": secured.client.key,
    }


def environment(secured: SecuredDruid) -> dict[str, str]:
    """The variables of `gateway ingest`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DRUID_", "GATEWAY_"))}
    return inherited | {
        "DRUID_OVERLORD_URL": secured.coordinator,
        "DRUID_BROKER_URL": secured.broker,
        "GATEWAY_DRUID_USERNAME": USER,
        "GATEWAY_DRUID_PASSWORD": MARKER,
        "GATEWAY_DRUID_CA_FILE": str(secured.ca.file),
        "GATEWAY_DRUID_CLIENT_CERT": str(secured.client.certificate),
        "GATEWAY_DRUID_CLIENT_KEY": str(secured.client.key),
    }


async def command(*arguments: object, **variables: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *map(str, arguments),
        env=variables, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_rows_go_in_and_correct_numbers_come_out(druid: Druid, tmp_path: Path, collector: Collector) -> None:
    name = f"test_secured_{secrets.token_hex(4)}"
    async with securing(druid, tmp_path) as secured:
        try:
            code, output = await command(
                "ingest", SHIPPED, "--data", HAND_COUNTED, "--data-source", name, **environment(secured)
            )
            assert code == 0, output
            settings = settings_for(tmp_path, secured.broker, coverage_period=1, **access(secured))
            checked, findings = await command(
                "check", "--json",
                **environment(secured),
                GATEWAY_TOKEN_SECRET=settings.token_secret.get_secret_value(),
                GATEWAY_DATABASE_URL=settings.database_url.get_secret_value(),
                GATEWAY_DRUID_BROKER_URL=secured.broker,
                GATEWAY_DRUID_COORDINATOR_URL=secured.coordinator,
            )  # fmt: skip
            dataset = replace(CHAT_SESSIONS, data_source=name)
            with capture_logs() as lines:
                async with serving(settings, datasets=[dataset]) as gateway, Client(gateway) as client:
                    answer = await client.post(report(COUNT, SUMS, UNIQUES, filters=ORG))
                    ready = await client.send("GET", "/readyz")
                    shown = generate_latest(gateway.app[SERVICES].instruments.registry).decode()
        finally:
            async with aiohttp.ClientSession() as session:
                url = f"{druid.coordinator_url}/druid/coordinator/v1/datasources/{name}"
                (await session.delete(url)).close()
    [[_, *numbers]] = answer.data
    # As in tests/live/test_hand_counted.py.
    assert numbers == [17, 16, 29, 8, pytest.approx(138.79), pytest.approx(13.2), *map(pytest.approx, (17, 12, 18))]
    assert ready.status == 200
    failed = [each["check"] for each in json.loads(findings) if each["state"] == "failed"]
    # Accounts are created when the gateway starts, and the examples' own data sources do not exist.
    assert (checked, failed) == (1, ["database", "data set chat_sessions", "data set visitor_sessions"])
    for needed in ("POST /druid/v2", "GET /druid/coordinator/v1/metadata/segments", "POST /druid/indexer/v1/task"):
        assert any(path.startswith(needed) for path in secured.paths), needed
    assert_nothing_is_shown(
        json.dumps(lines, default=repr), shown, output, findings, answer.body.decode(), repr(collector.raw)
    )
    assert collector.raw


@pytest.mark.parametrize("completeness", ["on", "off"])
@pytest.mark.parametrize(
    ("fault", "logged"),
    [
        ("password", "check GATEWAY_DRUID_USERNAME and GATEWAY_DRUID_PASSWORD"),
        ("stranger", "the TLS certificate is not trusted: self-signed certificate in certificate chain"),
        ("expired server", "the TLS certificate is not trusted: certificate has expired"),
        ("expired client", "a rejected TLS client certificate is a possible reason"),
        ("no client", "a rejected TLS client certificate is a possible reason"),
    ],
)
async def test_a_rejected_connection_is_an_error_with_its_reason_in_the_log(
    fault: str, completeness: str, *, logged: str, druid: Druid, tmp_path: Path, collector: Collector
) -> None:
    days = timedelta(days=-1 if fault == "expired server" else 1)
    async with securing(druid, tmp_path, server_expires_in=days) as secured:
        given = access(secured)
        if fault == "password":
            given |= {"druid_password": SecretStr(f"{MARKER}-wrong")}
        elif fault == "stranger":
            given |= {"druid_ca_file": CertificateAuthority(tmp_path, "stranger").file}
        elif fault == "expired client":
            expired = secured.ca.issue("expired", expires_in=timedelta(days=-1))
            given |= {"druid_client_cert": expired.certificate, "druid_client_key": expired.key}
        elif fault == "no client":
            given |= {"druid_client_cert": None, "druid_client_key": None}
        settings = settings_for(tmp_path, secured.broker, coverage_period=0.2, **given, completeness=completeness)
        with capture_logs() as lines:
            async with serving(settings) as gateway, Client(gateway) as client:
                answers = [await client.post(), await client.send("GET", "/readyz")]
                shown = generate_latest(gateway.app[SERVICES].instruments.registry).decode()
        await collector.trace(1)
    # No report is answered before the columns were read.
    assert [answer.status for answer in answers] == [503, 503]
    assert any(logged in str(line.get("error")) + str(line.get("message")) for line in lines), lines
    responses = [f"{answer.headers} {answer.body!r}" for answer in answers]
    assert_nothing_is_shown(json.dumps(lines, default=repr), shown, repr(collector.raw), *responses)


def assert_nothing_is_shown(*texts: str) -> None:
    for text in texts:
        for hidden in HIDDEN:
            assert hidden not in text
