"""The OpenAPI 3.1 document, generated from the catalog. Its request schemas are the ones that validate requests."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.catalog.id_format import UUID, IdFormat
from gateway.query.literals import Json
from gateway.query.schema import ReportSchema
from gateway.web.compression import PrecompressedDocument
from gateway.web.encoders import FORMATS, JSON
from gateway.web.paths import dataset_path

_STATUSES = {
    400: "The body is not a valid report; `errors` lists the problems, each with its JSON Pointer.",
    401: "Not authenticated.",
    403: "No access to the organization.",
    404: "No such organization.",
    406: "None of the response formats is acceptable.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The body is compressed.",
    422: "The report needs more of Druid's memory than one report may use.",
    429: "Too many requests; Retry-After says when to retry.",
    500: "A fault of the gateway.",
    501: "A transfer coding other than chunked.",
    502: "Druid gave no usable response.",
    503: "Druid, the data set or the account database is not available; Retry-After says when to retry.",
    504: "The report took too long.",
}


def openapi(schemas: Iterable[ReportSchema]) -> Json:
    """Return the document for these data sets."""
    paths: Json = {}
    components: Json = {
        "Problem": _PROBLEM,
        "Answer": _ANSWER,
        "Explanation": _EXPLANATION,
        "Description": _DESCRIPTION,
    }
    for schema in schemas:
        name = schema.dataset.name
        components |= _components(schema)
        paths[dataset_path("{organization_id}", name)] = {
            "parameters": [_organization(schema.dataset.tenant.id_format)],
            "post": {
                "operationId": f"report_{name}",
                "summary": f"Request a report on {schema.dataset.title.lower()}",
                "description": schema.dataset.description,
                "parameters": [_EXPLAIN, _FORMAT],
                "requestBody": {"required": True, "content": _content(_ref(name))},
                "responses": _responses({"oneOf": [_ref("Answer"), _ref("Explanation")]}, _TABLES),
            },
            "get": {
                "operationId": f"describe_{name}",
                "summary": f"Describe the reports on {schema.dataset.title.lower()}",
                "responses": _responses(_ref("Description"), without=(400, 406, 408, 413, 422)),
            },
        }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Reporting API",
            "version": version("druid-gateway"),
            "description": "Reports on an organization's own data, and on the part in which a partner was involved.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`Token <key>` with a key from `gateway accounts tokens create`.",
                },
                "oauth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
        "security": [{"token": []}, {"oauth": []}],
    }


def document(schemas: Iterable[ReportSchema]) -> Handler:
    """Return the handler of GET …/openapi.json."""
    body = PrecompressedDocument(orjson.dumps(openapi(schemas)))

    async def get(request: web.Request) -> web.Response:
        return body.response(request, JSON)

    return get


def _components(schema: ReportSchema) -> Json:
    """Return the validating schema as OpenAPI components: each definition under its own name."""
    name = schema.dataset.name
    document = {key: value for key, value in schema.document.items() if key not in ("$schema", "$defs")}
    definitions = {f"{name}_{key}": value for key, value in schema.document["$defs"].items()}
    return {key: _moved(value, name) for key, value in {name: document, **definitions}.items()}


def _moved(node: Any, name: str) -> Any:  # noqa: ANN401 - any part of a JSON document
    if isinstance(node, list):
        return [_moved(each, name) for each in node]
    if not isinstance(node, dict):
        return node
    moved = {key: _moved(value, name) for key, value in node.items()}
    if isinstance(node.get("$ref"), str):
        moved["$ref"] = node["$ref"].replace("#/$defs/", f"#/components/schemas/{name}_")
    return moved


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Json, media_type: str = "application/json") -> Json:
    return {media_type: {"schema": schema}}


def _responses(body: Json, others: Json | None = None, *, without: tuple[int, ...] = ()) -> Json:
    problem = _content(_ref("Problem"), "application/problem+json")
    problems = {
        str(status): {"description": text, "content": problem}
        for status, text in _STATUSES.items()
        if status not in without
    }
    return {"200": {"description": "The response.", "content": _content(body) | (others or {})}, **problems}


def _organization(id_format: IdFormat) -> Json:
    form = {"format": "uuid"} if id_format is UUID else {"pattern": f"^{id_format.pattern}$"}
    return {
        "name": "organization_id",
        "in": "path",
        "required": True,
        "description": "The caller's own organization or one of its partners.",
        "schema": {"type": "string", **form},
    }


_EXPLAIN: Json = {
    "name": "explain",
    "in": "query",
    "description": "Describe how the gateway understands the report instead of running it.",
    "schema": {"enum": ["true", "false"], "default": "false"},
}
_FORMAT: Json = {
    "name": "format",
    "in": "query",
    "description": "The response format; it has precedence over the header Accept.",
    "schema": {"enum": list(FORMATS), "default": "json"},
}
_TABLES: Json = {form.media_type: {"schema": {"type": "string"}} for form in FORMATS.values() if not form.has_members}
_ROW: Json = {"type": "array", "items": {"type": ["string", "number", "null"]}, "minItems": 1}
_ANSWER: Json = {
    "type": "object",
    "properties": {
        "fields": {
            "description": "The columns: start_time, the dimensions of group_by, the metrics.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "type": {"enum": ["dimension", "metric"]}},
                "required": ["name", "type"],
            },
        },
        "data": {"description": "The rows, in the order of the fields.", "type": "array", "items": _ROW},
        "totals": {"description": "If requested: one row over everything that the filters match.", **_ROW},
        "warnings": {
            "description": "What the caller must know about the numbers; absent if there is nothing.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "code": {"description": "Stable; meant for programs.", "type": "string"},
                    "message": {"type": "string"},
                    "pointer": {"description": "A JSON Pointer into the body.", "type": "string"},
                },
                "required": ["code", "message", "pointer"],
            },
        },
    },
    "required": ["fields", "data"],
}
_EXPLANATION: Json = {
    "type": "object",
    "properties": {
        "report": {"description": "The report as the gateway understands it.", "type": "object"},
        "size": {"description": "Buckets and rows, compared with the limits.", "type": "object"},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "queries": {"description": "The native Druid queries.", "type": "object"},
    },
    "required": ["report", "size", "warnings", "queries"],
}
_DESCRIPTION: Json = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "dimensions": {"type": "array", "items": {"type": "object"}},
        "aggregations": {"type": "array", "items": {"type": "object"}},
        "granularities": {"type": "array", "items": {"type": "string"}},
        "filters": {"type": "array", "items": {"type": "string"}},
        "limits": {"type": "object"},
        "tz_database": {"description": "The version of the tz database, such as 2025b.", "type": "string"},
        "time_range": {
            "description": "The times of the first and the last row, at most 30 seconds old; null without rows.",
            "type": ["object", "null"],
            "properties": {
                "first": {"type": "string", "format": "date-time"},
                "last": {"type": "string", "format": "date-time"},
            },
        },
    },
    "required": [
        "name",
        "dimensions",
        "aggregations",
        "granularities",
        "filters",
        "limits",
        "tz_database",
        "time_range",
    ],
}
_PROBLEM: Json = {
    "description": "RFC 9457 problem details.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"description": "Stable; meant for programs.", "type": "string"},
        "request_id": {"description": "Identifies the request in the gateway's logs.", "type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"description": "A JSON Pointer into the body.", "type": "string"},
                    "message": {"type": "string"},
                },
                "required": ["pointer", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
}
