"""The paths of the API, and what a request for a path or method that does not exist is told."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.web.response_headers import options

PREFIX: Final = "/api/reporting/v1"

_LONGEST: Final = 200
"""A longer path is not compared with the existing ones: it would take too long."""


def add_resource(app: web.Application, path: str, handlers: Mapping[str, Handler]) -> None:
    """Serve a path, with or without a slash at its end. HEAD follows from GET, and every path supports OPTIONS."""
    if "GET" in handlers:
        handlers = {**handlers, "HEAD": handlers["GET"]}
    for each in (path, f"{path}/"):
        resource = app.router.add_resource(each)
        for method, handler in {**handlers, "OPTIONS": options}.items():
            resource.add_route(method, handler)


def dataset_path(organization_id: str, name: str) -> str:
    """Return the path of a data set."""
    return f"{PREFIX}/orgs/{organization_id}/{name}"


class PathAdvice:
    """What a caller can request instead of a path or method that does not exist."""

    def __init__(self, data_sets: Iterable[str]) -> None:
        self._data_sets = sorted(data_sets)
        reports = [dataset_path("<organization_id>", name) for name in self._data_sets]
        links = [f"{path}/{more}" for path in reports for more in ("report", "dimensions/<dimension>/values")]
        self._paths = [PREFIX, f"{PREFIX}/orgs", f"{PREFIX}/openapi.json", *reports, *links]

    def detail(self, request: web.Request, error: web.HTTPException) -> str | None:
        """Return a sentence for the caller; None if the error has another cause."""
        if isinstance(error, web.HTTPMethodNotAllowed):
            return f"This path supports the methods {', '.join(sorted(error.allowed_methods))}."
        if not isinstance(error, web.HTTPNotFound):
            return None
        nearest = get_close_matches(_as_template(request.path), self._paths, n=1, cutoff=0.8)
        hint = f" Did you mean {nearest[0]}?" if nearest else f" The API is described at {PREFIX}/openapi.json."
        return f"No such endpoint. Data sets: {', '.join(self._data_sets)}.{hint}"


def _as_template(path: str) -> str:
    """Return the path with a placeholder for the organization id."""
    parts = path[:_LONGEST].split("/")
    if "orgs" in parts[:-1]:
        parts[parts.index("orgs") + 1] = "<organization_id>"
    return "/".join(parts)
