"""Which response a request for a report asks for, and the headers that describe the response."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from aiohttp import web

from gateway.errors import InvalidReport, NotAcceptable, Problem, UnsupportedMediaType
from gateway.query.parameters import invalid_parameters, wrong_names
from gateway.query.plan import Plan
from gateway.query.time import format_moment
from gateway.query.validation_errors import pointer
from gateway.web.encoders import FORMATS, JSON, Encoded, Format
from gateway.web.negotiation import preferred_media_type

_BY_MEDIA_TYPE: Final = {form.media_type: name for name, form in FORMATS.items() if name != "spreadsheet"}
"""The formats that the header Accept can name; `spreadsheet` is another kind of text/csv."""
REPORT: Final = "q"
"""The query parameter with the report of a link."""
PAGE: Final = "page"
"""The query parameter of a link to the next page, which proves where the link comes from."""
_OF_LINKS: Final = (REPORT, PAGE)
_VALUES: Final[Mapping[str, Collection[str]]] = MappingProxyType(
    {"explain": ("true", "false"), "format": FORMATS.keys()}
)
"""The values that the other query parameters can have."""
VARY: Final = {"Vary": "Accept, Accept-Encoding"}


@dataclass(frozen=True, slots=True)
class WantedResponse:
    """The response that a request asks for: the name of a format, or an explanation, which is always JSON."""

    name: str
    explanation: bool

    @property
    def format(self) -> Format:
        """The response's format."""
        return FORMATS[self.name]


def is_link(request: web.Request) -> bool:
    """Whether the request is a link (GET …/report), whose query parameter `q` contains the report."""
    return request.method in ("GET", "HEAD")


def linked_report(request: web.Request) -> bytes:
    """Return the report of a link; raises InvalidReport if it has none."""
    try:
        return request.query[REPORT].encode()
    except (KeyError, UnicodeEncodeError):
        raise InvalidReport("The query parameter q must contain the report as JSON, percent-encoded.") from None


def wanted_response(request: web.Request) -> WantedResponse:
    """Read the query parameters `explain` and `format`, which has precedence over the header Accept.

    Raises InvalidReport with every other parameter or value, NotAcceptable if no format is acceptable, and
    UnsupportedMediaType for the content of QUERY in another format.
    """
    name, explain = _parameters_of(request) if "?" in request.raw_path else (None, "false")
    if request.method == "QUERY" and request.content_type != JSON:
        # RFC 10008 leaves no room for a missing or other content type.
        raise UnsupportedMediaType(f"Send the report as {JSON}.", headers={"Accept-Query": f'"{JSON}"'})
    if name is None:
        name = _accepted(tuple(request.headers.getall("Accept", ())))
    return WantedResponse(name, explain == "true")


def _parameters_of(request: web.Request) -> tuple[str | None, str]:
    """Return the query parameters `format` and `explain`."""
    parameters = request.query
    known = [*_OF_LINKS, *_VALUES] if is_link(request) else [*_VALUES]
    problems = [*wrong_names(parameters, known)]
    problems += [
        Problem(pointer(key), f"must be one of {', '.join(values)}")
        for key, values in _VALUES.items()
        if key in parameters and parameters[key] not in values
    ]
    if problems:
        raise invalid_parameters(problems)
    return parameters.get("format"), parameters.get("explain", "false")


@lru_cache(256)
def _accepted(accept: tuple[str, ...]) -> str:
    media_type = preferred_media_type(accept, _BY_MEDIA_TYPE)
    if media_type is None:
        raise NotAcceptable(f"The response formats are {', '.join(_BY_MEDIA_TYPE)}.", headers=VARY)
    return _BY_MEDIA_TYPE[media_type]


def headers_of(encoded: Encoded, form: Format, planned: Plan) -> dict[str, str]:
    """Return the headers that describe an encoded answer."""
    headers = {"Content-Type": f"{form.media_type}{form.parameters}", **VARY}
    if form.suffix is not None:
        headers["Content-Disposition"] = f'attachment; filename="{_file_name(planned)}.{form.suffix}"'
    if encoded.omitted:
        headers["Omitted-Members"] = ", ".join(encoded.omitted)
    return headers


def _file_name(planned: Plan) -> str:
    """Return the name of the data set and the first and last local day of the report."""
    interval = planned.interval
    first, last = (format_moment(each, interval.zone)[:10] for each in (interval.start, interval.end - 1))
    return f"{planned.dataset.name}_{first}_{last}"
