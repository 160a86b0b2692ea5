"""Which response a request for a report asks for, and the headers that describe the response."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from aiohttp import web

from gateway.errors import InvalidReport, NotAcceptable
from gateway.query.plan import Plan
from gateway.query.time import format_moment
from gateway.web.encoders import FORMATS, Encoded, Format
from gateway.web.negotiation import preferred_media_type

_BY_MEDIA_TYPE: Final = {form.media_type: form for name, form in FORMATS.items() if name != "spreadsheet"}
"""The formats that the header Accept can name; `spreadsheet` is another kind of text/csv."""
_VARY: Final = {"Vary": "Accept, Accept-Encoding"}


@dataclass(frozen=True, slots=True)
class WantedResponse:
    """The response that a request asks for. An explanation is always JSON."""

    format: Format
    explanation: bool


def wanted_response(request: web.Request) -> WantedResponse:
    """Read the query parameters `explain` and `format`, which has precedence over the header Accept.

    Raises InvalidReport for other parameters or values, and NotAcceptable if no format is acceptable.
    """
    parameters = request.query
    explain, name = parameters.get("explain", "false"), parameters.get("format")
    if (
        len(parameters) > len(parameters.keys() & {"explain", "format"})
        or explain not in ("true", "false")
        or (name is not None and name not in FORMATS)
    ):
        raise InvalidReport(
            f"The query parameters are explain (true or false) and format ({', '.join(FORMATS)}), each at most once."
        )
    form = _accepted(tuple(request.headers.getall("Accept", ()))) if name is None else FORMATS[name]
    return WantedResponse(form, explain == "true")


@lru_cache(256)
def _accepted(accept: tuple[str, ...]) -> Format:
    media_type = preferred_media_type(accept, _BY_MEDIA_TYPE)
    if media_type is None:
        raise NotAcceptable(f"The response formats are {', '.join(_BY_MEDIA_TYPE)}.", headers=_VARY)
    return _BY_MEDIA_TYPE[media_type]


def respond_with(encoded: Encoded, form: Format, planned: Plan) -> web.Response:
    """Return the response with the encoded answer."""
    headers = {"Content-Type": f"{form.media_type}{form.parameters}", **_VARY}
    if form.suffix is not None:
        headers["Content-Disposition"] = f'attachment; filename="{_file_name(planned)}.{form.suffix}"'
    if encoded.omitted:
        headers["Omitted-Members"] = ", ".join(encoded.omitted)
    return web.Response(body=encoded.body, headers=headers)


def _file_name(planned: Plan) -> str:
    """Return the name of the data set and the first and last local day of the report."""
    interval = planned.report.interval
    first, last = (format_moment(each, interval.zone)[:10] for each in (interval.start, interval.end - 1))
    return f"{planned.dataset.name}_{first}_{last}"
