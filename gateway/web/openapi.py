"""The OpenAPI 3.1 document, generated from the catalog and from the tables of the language, formats and errors."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any, Final

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway import errors
from gateway.catalog.id_format import UUID, IdFormat
from gateway.query.literals import Json
from gateway.query.schema import ReportSchema
from gateway.web.compression import PrecompressedDocument
from gateway.web.encoders import FORMATS, JSON
from gateway.web.openapi_schemas import RESPONSES
from gateway.web.paths import PREFIX, dataset_path
from gateway.web.problem_details import PROBLEM_JSON
from gateway.web.published_schema import published

_DESCRIPTIONS: Final = {
    400: "The body is not a valid report; `errors` lists the problems, each with its JSON Pointer.",
    401: "Not authenticated.",
    403: "No access to the organization.",
    404: "No such organization.",
    406: "None of the response formats is acceptable.",
    408: "The body did not arrive in time.",
    409: "The data has changed since the first page of the report.",
    413: "The body is too large.",
    415: "The body is compressed, or that of QUERY is not declared as JSON.",
    422: "The report needs more of Druid's memory than one report may use.",
    429: "Too many requests; Retry-After says when to retry.",
    500: "A fault of the gateway.",
    501: "A transfer coding other than chunked.",
    502: "Druid gave no usable response.",
    503: "Druid, the data set or the account database is not available; Retry-After says when to retry.",
    504: "The report took too long.",
}
_ONLY_REPORTS: Final = (400, 406, 408, 409, 413, 422)
_WITH_ORGANIZATION: Final = (404, *_ONLY_REPORTS)


def openapi(schemas: Iterable[ReportSchema]) -> Json:
    """Return the document for these data sets."""
    paths: Json = {
        PREFIX: {"get": _listing("index", "List the data sets and organizations that a credential can use", "Index")},
        f"{PREFIX}/orgs": {"get": _listing("organizations", "List the organizations", "OrganizationList")},
    }
    components: Json = dict(RESPONSES)
    tags = [{"name": "discovery", "description": "What a credential can use."}]
    for schema in schemas:
        dataset = schema.dataset
        components |= _components(schema)
        tags.append({"name": dataset.name, "description": dataset.description})
        deprecated = {} if dataset.deprecation is None else {"deprecated": True}
        paths[dataset_path("{organization_id}", dataset.name)] = {
            "parameters": [_organization(dataset.tenant.id_format)],
            "post": {
                "operationId": f"report_{dataset.name}",
                "tags": [dataset.name],
                **deprecated,
                "summary": f"Request a report on {dataset.title.lower()}",
                "description": dataset.description,
                "parameters": [_EXPLAIN, _FORMAT],
                "requestBody": {
                    "required": True,
                    "content": {
                        JSON: {"schema": _ref(dataset.name), "examples": {"daily": {"value": example(schema)}}}
                    },
                },
                "responses": _responses(_REPORTED, _TABLES, headers=_PAGE_HEADERS),
            },
            "get": {
                "operationId": f"describe_{dataset.name}",
                "tags": [dataset.name],
                **deprecated,
                "summary": f"Describe the reports on {dataset.title.lower()}",
                "responses": _responses(_ref("Description"), without=_ONLY_REPORTS),
            },
        }
        paths[f"{dataset_path('{organization_id}', dataset.name)}/report"] = {
            "parameters": [_organization(dataset.tenant.id_format)],
            "get": {
                "operationId": f"report_{dataset.name}_by_link",
                "tags": [dataset.name],
                **deprecated,
                "summary": f"Request a report on {dataset.title.lower()} by a link",
                "description": "The response is that to POST, and the method QUERY with a body does the same.",
                "parameters": [_REPORT, _EXPLAIN, _FORMAT, _PAGE],
                "responses": _responses(_REPORTED, _TABLES, headers=_PAGE_HEADERS, without=(413, 415)),
            },
        }
        paths[f"{dataset_path('{organization_id}', dataset.name)}/dimensions/{{dimension}}/values"] = {
            "parameters": [_organization(dataset.tenant.id_format), _dimension(schema)],
            "get": {
                "operationId": f"values_{dataset.name}",
                "tags": [dataset.name],
                **deprecated,
                "summary": "List the values of a dimension, the most frequent first",
                "parameters": _VALUE_PARAMETERS,
                "responses": _responses(_ref("ValueList"), without=(406, 408, 409, 413, 415)),
            },
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Reporting API",
            "version": version("druid-gateway"),
            "description": "Reports on an organization's own data, and on the part in which a partner was involved.",
        },
        "servers": [{"url": "/", "description": "The gateway that serves this document."}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY_SCHEMES},
        "security": [{"Token": []}, {"Bearer": []}],
    }


def document(schemas: Iterable[ReportSchema]) -> Handler:
    """Return the handler of GET …/openapi.json."""
    body = PrecompressedDocument(orjson.dumps(openapi(schemas)))

    async def get(request: web.Request) -> web.Response:
        return body.response(request, JSON)

    return get


def example(schema: ReportSchema) -> Json:
    """Return a report that every data set can answer."""
    return {
        "interval": {"start": "2019-01-01", "end": "2019-02-01", "time_zone": "UTC"},
        "granularity": "day",
        "group_by": [schema.dataset.dimensions[0].name],
        "aggregations": [{"type": "count"}],
    }


def _listing(name: str, summary: str, component: str) -> Json:
    return {
        "operationId": name,
        "tags": ["discovery"],
        "summary": summary,
        "responses": _responses(_ref(component), without=_WITH_ORGANIZATION),
    }


def _components(schema: ReportSchema) -> Json:
    """Return the published schema as OpenAPI components: each definition under its own name."""
    name, document = schema.dataset.name, published(schema.document)
    report = {key: value for key, value in document.items() if key not in ("$schema", "$defs")}
    definitions = {f"{name}_{key}": value for key, value in document["$defs"].items()}
    return {key: _moved(value, name) for key, value in {name: report, **definitions}.items()}


def _moved(node: Any, name: str) -> Any:  # noqa: ANN401 - any part of a JSON document
    """Return the node with its references (of `$ref` and of a discriminator's mapping) into the components."""
    if isinstance(node, list):
        return [_moved(each, name) for each in node]
    if isinstance(node, dict):
        return {key: _moved(value, name) for key, value in node.items()}
    if isinstance(node, str) and node.startswith("#/$defs/"):
        return node.replace("#/$defs/", f"#/components/schemas/{name}_")
    return node


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _responses(
    body: Json, others: Json | None = None, *, headers: Json | None = None, without: tuple[int, ...] = ()
) -> Json:
    answer = {
        "description": "The response.",
        "headers": _HEADERS | (headers or {}),
        "content": {JSON: {"schema": body}} | (others or {}),
    }
    return {"200": answer, **{str(status): _PROBLEMS[status] for status in _DESCRIPTIONS if status not in without}}


def _problems() -> Iterator[tuple[int, Json]]:
    codes: dict[int, set[str]] = defaultdict(set)
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.GatewayError) and kind is not errors.GatewayError:
            codes[kind.status].add(kind.code)
    for status, text in _DESCRIPTIONS.items():
        listed = ", ".join(f"`{code}`" for code in sorted(codes[status]))
        yield (
            status,
            {
                "description": f"{text} Codes: {listed}." if listed else text,
                "headers": _HEADERS,
                "content": {PROBLEM_JSON: {"schema": _ref("Problem")}},
            },
        )


def _organization(id_format: IdFormat) -> Json:
    form = {"format": "uuid"} if id_format is UUID else {"pattern": f"^{id_format.pattern}$"}
    return {
        "name": "organization_id",
        "in": "path",
        "required": True,
        "description": "The caller's own organization or one of its partners.",
        "schema": {"type": "string", **form},
    }


def _dimension(schema: ReportSchema) -> Json:
    names = {"type": "string", "enum": list(schema.dataset.columns)}
    return {"name": "dimension", "in": "path", "required": True, "schema": names}


_HEADERS: Final[Json] = {
    "X-Request-Id": {
        "description": "Identifies the request in the gateway's logs.",
        "schema": {"type": "string"},
    }
}
_PAGE_HEADERS: Final[Json] = {
    "Link": {
        "description": "With `offset`, except on the last page: the link to the next page (RFC 8288, `rel=next`).",
        "schema": {"type": "string"},
    }
}
_REPORTED: Final[Json] = {"oneOf": [_ref("Answer"), _ref("Explanation")]}
_PROBLEMS: Final = dict(_problems())
_REPORT: Final[Json] = {
    "name": "q",
    "in": "query",
    "required": True,
    "description": "The report as JSON, as in the body of POST.",
    "schema": {"type": "string", "contentMediaType": JSON},
}
_EXPLAIN: Final[Json] = {
    "name": "explain",
    "in": "query",
    "description": "Describe how the gateway understands the report instead of running it.",
    "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
}
_FORMAT: Final[Json] = {
    "name": "format",
    "in": "query",
    "description": "The response format; it has precedence over the header Accept.",
    "schema": {"type": "string", "enum": list(FORMATS), "default": "json"},
}
_PAGE: Final[Json] = {
    "name": "page",
    "in": "query",
    "description": "Only in links to the next page, as the header Link gives them.",
    "schema": {"type": "string"},
}
_VALUE_PARAMETERS: Final[list[Json]] = [
    {"name": name, "in": "query", "required": name in ("start", "end"), "description": text, "schema": schema}
    for name, text, schema in (
        ("start", "The start of the interval.", {"type": "string"}),
        ("end", "The end of the interval.", {"type": "string"}),
        ("time_zone", "A name of the tz database.", {"type": "string", "default": "UTC"}),
        ("search", "A part of the value, in upper or lower case.", {"type": "string", "maxLength": 1024}),
        ("limit", "The maximum number of values.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
    )
]
_TABLES: Final[Json] = {
    form.media_type: {"schema": {"description": "The rows.", "type": "string", "format": "binary"}}
    for form in FORMATS.values()
    if not form.has_members
}
_SECURITY_SCHEMES: Final[Json] = {
    "Token": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token <key>` with a key from `gateway accounts tokens create`.",
    },
    "Bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An OAuth2 access token, if the operator has configured a provider.",
    },
}
