"""The first stages of every request for a data set: from the request to its tenant."""

import asyncio

import structlog
from aiohttp import web

from gateway.accounts.api_tokens import ApiToken
from gateway.auth.credentials import TOKEN_CHALLENGE, parse
from gateway.catalog.model import Dataset
from gateway.errors import DeadlineExceeded, Unauthenticated
from gateway.telemetry.log_context import add_log_fields
from gateway.telemetry.tracing import stage, tell
from gateway.tenancy.principal import Principal
from gateway.tenancy.tenant import Tenant, authorize
from gateway.web.client_address import address_of_request
from gateway.web.context import CONTEXT
from gateway.web.deadlines import until
from gateway.web.response_headers import deprecation_headers

_log = structlog.get_logger(__name__)


def deadline_of(request: web.Request) -> float:
    """Return the event loop's time by which to respond: the setting's, or an earlier one that Prefer: wait asks for."""
    seconds = request[CONTEXT].services.settings.request_timeout
    if "Prefer" not in request.headers:
        return asyncio.get_running_loop().time() + seconds
    for preference in ",".join(request.headers.getall("Prefer", ())).split(","):
        name, value = (part.strip() for part in preference.partition("=")[::2])
        # https://www.rfc-editor.org/rfc/rfc7240#section-4.3: whole seconds; other values are ignored.
        if name.lower() == "wait" and value.isdecimal() and len(value) < 10:
            seconds = min(seconds, max(1, int(value)))
    return asyncio.get_running_loop().time() + seconds


async def tenant_of(request: web.Request, dataset: Dataset, deadline: float) -> Tenant:
    """Authenticate the caller, count the request, and authorize the caller for the organization in the path."""
    context = request[CONTEXT]
    context.data_set = dataset.name
    if dataset.deprecation is not None:
        context.headers = deprecation_headers(dataset.deprecation)
    try:
        return await until(deadline, _tenant_of(request, dataset))
    except TimeoutError as error:
        raise DeadlineExceeded("Authentication took too long. Retry.") from error


async def principal_of(request: web.Request) -> Principal:
    """Authenticate the caller and count the request."""
    context = request[CONTEXT]
    with stage("authenticate"):
        principal = await _authenticate(request)
    context.organization_id = principal.organization_id
    add_log_fields(credential=principal.credential, user=principal.user_id)
    context.services.cpu_budget.check(principal.organization_id)
    context.quota = await context.services.limiter.count_request(principal.organization_id)
    return principal


async def _tenant_of(request: web.Request, dataset: Dataset) -> Tenant:
    principal = await principal_of(request)
    add_log_fields(data_set=dataset.name)
    with stage("authorize"):
        organization_id, id_format = request.match_info["organization_id"], dataset.tenant.id_format
        tenant = await authorize(principal, organization_id, id_format, request[CONTEXT].services.accounts)
    tell({"gateway.data_set": dataset.name, "gateway.organization_id": tenant.owner_organization_id})
    add_log_fields(organization=tenant.owner_organization_id, partner=tenant.involved_organization_id)
    return tenant


async def _authenticate(request: web.Request) -> Principal:
    """Return the caller. Only failures are limited: the failures of others never lock out a valid credential."""
    authorization, services = request.headers.getall("Authorization", ()), request[CONTEXT].services
    try:
        return await services.authenticator.authenticate(authorization)
    except Unauthenticated as error:
        address = address_of_request(request, services.settings.trusted_proxies)
        _log.info("authentication_failed", address=address, reason=error.detail)
        await services.limiter.count_failure(address, _token_prefix(authorization))
        raise


def _token_prefix(authorization: tuple[str, ...] | list[str]) -> str | None:
    """Return the public prefix of the API token that was sent, if it has the form of one."""
    try:
        credential = parse(authorization, challenge=TOKEN_CHALLENGE)
    except Unauthenticated:
        return None
    return credential.prefix if isinstance(credential, ApiToken) else None
