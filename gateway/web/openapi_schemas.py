"""The schemas of responses in the OpenAPI document."""

from typing import Final

from gateway.query.literals import Json

_ROW: Final[Json] = {"type": "array", "items": {"type": ["string", "number", "null"]}, "minItems": 1}
ANSWER: Final[Json] = {
    "type": "object",
    "properties": {
        "fields": {
            "description": "The columns: the times, the dimensions of group_by, the metrics.",
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "type": {"enum": ["dimension", "metric"]}},
                "required": ["name", "type"],
            },
        },
        "data": {"description": "The rows, in the order of the fields.", "type": "array", "items": _ROW},
        "totals": {"description": "If requested: one row over everything that the filters match.", **_ROW},
        "other": {
            "description": "With other in top: rows over everything that is in none of the groups.",
            "type": "array",
            "items": _ROW,
        },
        "interval": {
            "description": "The moments that a relative interval means.",
            "type": "object",
            "properties": {"start": {"type": "string"}, "end": {"type": "string"}},
            "required": ["start", "end"],
        },
        "freshness": {
            "description": "If requested: until when the numbers are final, and the buckets that may change.",
            "type": "object",
            "properties": {
                "complete_until": {"type": "string"},
                "partial": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["complete_until", "partial"],
        },
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
EXPLANATION: Final[Json] = {
    "type": "object",
    "properties": {
        "report": {"description": "The report as the gateway understands it.", "type": "object"},
        "size": {"description": "Buckets and rows, compared with the limits.", "type": "object"},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "queries": {"description": "The native Druid queries.", "type": "object"},
    },
    "required": ["report", "size", "warnings", "queries"],
}
DESCRIPTION: Final[Json] = {
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
PROBLEM: Final[Json] = {
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
                    "pointer": {
                        "description": "A JSON Pointer into the body, or / and the name of a query parameter.",
                        "type": "string",
                    },
                    "message": {"type": "string"},
                },
                "required": ["pointer", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
}
_DATA_SET: Final[Json] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "path": {"description": "Where to request reports.", "type": "string"}},
    "required": ["name", "path"],
}
_ORGANIZATION: Final[Json] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "is_partner": {
            "description": "Whether it is a partner and not the caller's own organization.",
            "type": "boolean",
        },
        "data_sets": {"type": "array", "items": _DATA_SET},
    },
    "required": ["id", "name", "is_partner", "data_sets"],
}
ORGANIZATION_LIST: Final[Json] = {
    "type": "object",
    "properties": {"organizations": {"type": "array", "items": _ORGANIZATION}},
    "required": ["organizations"],
}
INDEX: Final[Json] = {
    "type": "object",
    "properties": {
        "openapi": {"description": "The path of this document.", "type": "string"},
        "data_sets": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "title": {"type": "string"},
                    "description": {"type": "string"},
                },
                "required": ["name", "title", "description"],
            },
        },
        **ORGANIZATION_LIST["properties"],
    },
    "required": ["openapi", "data_sets", "organizations"],
}
VALUES: Final[Json] = {
    "type": "object",
    "properties": {
        "values": {
            "description": "Each value with the number of rows that have it, the most frequent first.",
            "type": "array",
            "items": {"type": "array", "items": {"type": ["string", "number", "null"]}, "minItems": 2, "maxItems": 2},
        },
    },
    "required": ["values"],
}
RESPONSES: Final[Json] = {
    "Answer": ANSWER,
    "Description": DESCRIPTION,
    "Explanation": EXPLANATION,
    "Index": INDEX,
    "OrganizationList": ORGANIZATION_LIST,
    "Problem": PROBLEM,
    "ValueList": VALUES,
}
"""The components of the document that are the same for every data set.

No property of a component may have the component's own name: openapi-python-client would mistake one for the other.
"""
