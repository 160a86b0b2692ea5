"""What a credential can use: the organizations and their data sets."""

from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.accounts.store import KnownOrganization
from gateway.catalog.model import Dataset
from gateway.errors import Forbidden
from gateway.query.literals import Json
from gateway.tenancy.principal import REPORTS
from gateway.web.authentication import principal_of
from gateway.web.context import CONTEXT
from gateway.web.encoders import json_response
from gateway.web.paths import PREFIX, dataset_path


def index_of(datasets: Iterable[Dataset]) -> Handler:
    """Return the handler of GET /api/reporting/v1."""
    about: Json = {
        "openapi": f"{PREFIX}/openapi.json",
        "data_sets": [
            {"name": dataset.name, "title": dataset.title, "description": dataset.description} for dataset in datasets
        ],
    }

    async def index(request: web.Request) -> web.Response:
        return json_response(about | await _organizations(request, datasets))

    return index


def organizations_of(datasets: Iterable[Dataset]) -> Handler:
    """Return the handler of GET …/orgs."""

    async def organizations(request: web.Request) -> web.Response:
        return json_response(await _organizations(request, datasets))

    return organizations


async def _organizations(request: web.Request, datasets: Iterable[Dataset]) -> Json:
    principal = await principal_of(request)
    if REPORTS not in principal.permissions:
        raise Forbidden("You have no permission to request reports.")
    known = await request[CONTEXT].services.accounts.organizations(principal.organization_id)
    return {"organizations": [_described(each, principal.organization_id, datasets) for each in known]}


def _described(organization: KnownOrganization, own_id: str, datasets: Iterable[Dataset]) -> Json:
    is_partner = organization.id != own_id
    usable = [
        dataset
        for dataset in datasets
        if all(map(dataset.tenant.id_format.accepts, (own_id, organization.id)))
        and (dataset.tenant.partner_column is not None or not is_partner)
    ]
    return {
        "id": organization.id,
        "name": organization.name,
        "is_partner": is_partner,
        "data_sets": [{"name": each.name, "path": dataset_path(organization.id, each.name)} for each in usable],
    }
