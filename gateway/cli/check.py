"""`gateway check`: tries everything that `gateway serve` needs, and says what to do about what fails."""

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import typer
from aiohttp import ClientSSLError
from limits.errors import StorageError
from pydantic import BaseModel

from gateway.accounts.output import show
from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.store import Accounts
from gateway.auth.jwks import UNREADABLE, KeySet
from gateway.auth.settings import OAuthSettings
from gateway.catalog.load import CatalogInvalid, load_catalog
from gateway.catalog.model import Dataset
from gateway.cli.catalog import Comparison, compare_with_druid
from gateway.configuration import exposed_settings_file, settings_file
from gateway.druid.api.http import ServiceError, ServiceUnreachable, describe
from gateway.druid.api.status import Kind, version
from gateway.druid.api.urls import ServiceUrl
from gateway.druid.schema_reader import SchemaNotRead
from gateway.settings import Settings, SettingsInvalid, reject_unknown_keys, reject_unknown_variables

_REDIS_SECONDS: Final = 5.0


class Finding(BaseModel):
    """The result of one check. `detail` of a failure is one sentence with the remedy."""

    check: str
    state: Literal["ok", "warning", "failed"]
    detail: str


def check(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check the settings, the data set files, the account database, Druid, the OAuth2 provider's keys, and Redis.

    Nothing is changed. The exit code is 1 if a check failed, otherwise 0.
    """
    findings = list(_findings())
    show(findings, columns=("check", "state", "detail"), as_json=as_json)
    if any(each.state == "failed" for each in findings):
        raise typer.Exit(1)


def _findings() -> Iterator[Finding]:
    try:
        reject_unknown_variables(os.environ)
        reject_unknown_keys(settings_file())
        settings = Settings.from_environment()
    except SettingsInvalid as error:
        # The first line introduces the list.
        for problem in str(error).splitlines()[1:]:
            yield Finding(check="settings", state="failed", detail=problem.strip())
        yield Finding(check="others", state="failed", detail="not checked: they need valid settings")
        return
    if file := exposed_settings_file(Settings):
        detail = f"every user can read {file}, which contains a secret: chmod o-r {file}"
        yield Finding(check="settings", state="warning", detail=detail)
    else:
        yield Finding(check="settings", state="ok", detail="valid")
    datasets: tuple[Dataset, ...] = ()
    try:
        datasets = tuple(load_catalog(settings.catalog).values())
    except CatalogInvalid as error:
        for problem in str(error).splitlines():
            yield Finding(check="catalog", state="failed", detail=problem.strip())
    else:
        names = ", ".join(each.name for each in datasets)
        yield Finding(check="catalog", state="ok", detail=f"data sets: {names}")
    yield from asyncio.run(_services(settings, datasets))


async def _services(settings: Settings, datasets: Iterable[Dataset]) -> list[Finding]:
    found = await asyncio.gather(
        _database(settings),
        *(_druid(settings, "broker", url) for url in settings.druid_broker_url),
        *(_druid(settings, "coordinator", url) for url in settings.druid_coordinator_url),
        *([_oauth(settings.oauth)] if settings.oauth else []),
        *([_limits(settings.limits_url.get_secret_value())] if settings.limits_url else []),
    )
    found += await _data_sets(settings, datasets)
    if settings.completeness == "off":
        found.append(
            Finding(
                check="completeness",
                state="warning",
                detail="GATEWAY_COMPLETENESS is off: numbers can be silently incomplete",
            )
        )
    return found


async def _database(settings: Settings) -> Finding:
    try:
        async with Accounts(settings) as accounts:
            revision = await accounts.check_schema()
    except DatabaseNotReady as error:
        return Finding(check="database", state="failed", detail=str(error))
    return Finding(check="database", state="ok", detail=f"revision {revision}")


async def _druid(settings: Settings, kind: Kind, url: ServiceUrl) -> Finding:
    try:
        detail = f"{url} is Druid {await version(kind, url, settings.druid_security)}"
    except ServiceUnreachable as error:
        remedy = f"Check that it runs and that GATEWAY_DRUID_{kind.upper()}_URL is right."
        return Finding(check=kind, state="failed", detail=f"{error} {remedy}")
    except ServiceError as error:
        return Finding(check=kind, state="failed", detail=str(error))
    return Finding(check=kind, state="ok", detail=detail)


async def _oauth(settings: OAuthSettings) -> Finding:
    """Read the provider's keys, as the first request with an access token would."""
    try:
        async with KeySet(settings) as keys:
            number = len({key_id for key_id, _ in await keys.read()})
    except UNREADABLE as error:
        if isinstance(error, ClientSSLError):
            reason = "the TLS certificate is not trusted"
        else:
            reason = str(error) if isinstance(error, ValueError) else describe(error)
        remedy = "Check the provider, GATEWAY_OAUTH_JWKS and GATEWAY_OAUTH_ALGORITHMS."
        return Finding(check="oauth", state="failed", detail=f"{settings.jwks} has no keys: {reason}. {remedy}")
    return Finding(check="oauth", state="ok", detail=f"{number} keys of {settings.jwks}")


async def _limits(url: str) -> Finding:
    """Send a PING to the Redis of the rate limits. Without it, each process counts for itself."""
    # Imported here, because most gateways share no limits, and the client of Redis takes long to import.
    from gateway.web.shared_counters import SharedCounters  # noqa: PLC0415

    try:
        name = f"Redis {urlsplit(url).hostname}:{urlsplit(url).port or 6379}"
        async with asyncio.timeout(_REDIS_SECONDS):
            with closing(SharedCounters(url)) as shared:
                await shared.ping()
    except ValueError:
        return Finding(check="limits", state="failed", detail="GATEWAY_LIMITS_URL is not a URL that can be read.")
    except (StorageError, OSError) as error:
        failure = error.storage_error if isinstance(error, StorageError) else error
        cause = failure.__cause__ if isinstance(failure.__cause__, OSError) else failure
        reason = describe(cause) if isinstance(cause, OSError) else str(cause).rstrip(".").lower()
        remedy = "Check that it runs and that GATEWAY_LIMITS_URL is right."
        return Finding(check="limits", state="failed", detail=f"{name} cannot be used: {reason}. {remedy}")
    return Finding(check="limits", state="ok", detail=f"{name} responds")


async def _data_sets(settings: Settings, datasets: Iterable[Dataset]) -> list[Finding]:
    urls = settings.druid_broker_url, settings.druid_coordinator_url
    compared = await compare_with_druid(datasets, *urls, settings.druid_security)
    return [finding for name, each in compared.items() for finding in _comparison(f"data set {name}", each)]


def _comparison(check: str, compared: Comparison) -> Iterator[Finding]:
    if isinstance(compared, SchemaNotRead):
        yield Finding(check=check, state="warning", detail=f"not compared with Druid: {compared}")
        return
    for each in compared:
        yield Finding(check=check, state="failed" if each.is_fault else "ok", detail=each.message)
    if not compared:
        yield Finding(check=check, state="ok", detail="matches Druid")
