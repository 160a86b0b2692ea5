"""Pages of a report: the link to the next page (RFC 8288), which answers only as long as the data stays the same.

Druid names the version of the data behind each response. A link carries that of the first page: every further page must
have the same one, or it is a 409, so that pages never come from two states of the data. The link also carries the time
of the first request, on which relative intervals depend. A signature ties both to the report and the tenant.
"""

import hmac
import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from time import time
from typing import Final
from urllib.parse import quote

from aiohttp import web

from gateway.druid.chain import DruidResponse
from gateway.errors import DataChanged, InvalidReport, LimitExceeded
from gateway.query.json_body import read_json
from gateway.query.report import Report
from gateway.tenancy.tenant import Tenant
from gateway.web.context import CONTEXT
from gateway.web.paths import dataset_path
from gateway.web.response_format import PAGE, REPORT, WantedResponse

_PURPOSE: Final = b"druid-gateway: pages of a report"
"""Derives the key from the secret of the API tokens, so that no signature is valid for anything else."""
_TIME_BYTES: Final = 8
_VERSION_BYTES: Final = 16
_SIGNATURE_BYTES: Final = 18
_LONGEST_LINK: Final = 7_000
"""Characters of a link. It must fit in the first line of a request, which has at most 8 kB."""
_UNESCAPED: Final = "!$'()*,:;@/?"
"""Characters that need no escape in the query of a URL."""


@dataclass(frozen=True, slots=True)
class Page:
    """The page that a request asks for.

    `now` is the time of the request for the first page, in milliseconds. `version` is that of the first page's data;
    None if this is the first one. `next_path` is the link to the next page without its token, `subject` what the token
    is valid for.
    """

    now: int
    version: bytes | None
    limit: int
    next_path: str
    subject: bytes
    key: bytes

    def check(self, found: bytes | None) -> None:
        """Raise DataChanged if this is a further page and does not have the version of the first one."""
        if self.version is not None and found != self.version:
            raise DataChanged("The data has changed since the first page. Start again with the first page.")

    def links(self, found: bytes | None, rows: int) -> Mapping[str, str]:
        """Return the header with the link to the next page; none after the last page, which is not full.

        Raises DataChanged if there is a next page, but no version to compare it with.
        """
        if rows < self.limit:
            return {}
        if found is None:
            raise DataChanged(
                "There may be more rows than on this page, but the data has no version that pages could share: rows "
                "arrive in it at the moment, or this gateway uses no versions. Request an interval that ends earlier, "
                "or all rows at once."
            )
        state = self.now.to_bytes(_TIME_BYTES) + found
        token = urlsafe_b64encode(state + _signature(self.key, state, self.subject)).decode()
        return {"Link": f'<{self.next_path}&{PAGE}={token}>; rel="next"'}


def requested_page(
    request: web.Request, wanted: WantedResponse, body: bytes, report: Report, tenant: Tenant
) -> Page | None:
    """Return the requested page; None if the report is not requested in pages.

    Raises DataChanged if the request has a token that is not valid for this report and tenant.
    """
    token = request.query.get(PAGE)
    if report.offset is None or report.limit is None:
        if token is not None:
            raise InvalidReport(f"The query parameter {PAGE} needs a report with offset.")
        return None
    context = request[CONTEXT]
    data_set = context.data_set
    following = json.dumps({**_object(body), "offset": report.offset + report.limit}, separators=(",", ":"))
    if len(following) > _LONGEST_LINK:
        # Escaping takes milliseconds and never makes it shorter.
        raise _too_long(len(following))
    path = quote(dataset_path(request.match_info["organization_id"], data_set))
    next_path = f"{path}/report?{REPORT}={quote(following, safe=_UNESCAPED)}&format={wanted.name}"
    if len(next_path) > _LONGEST_LINK:
        raise _too_long(len(next_path))
    # Not the offset: all pages of a report have the same token.
    about = [data_set, tenant.owner_organization_id, tenant.involved_organization_id, report.to_json() | {"offset": 0}]
    subject = json.dumps(about, sort_keys=True).encode()
    key = hmac.digest(context.services.settings.token_secret.get_secret_value().encode(), _PURPOSE, "sha256")
    now, version = (int(time() * 1000), None) if token is None else _read(token, key, subject)
    return Page(now, version, report.limit, next_path, subject, key)


def version_of(responses: Mapping[str, DruidResponse]) -> bytes | None:
    """Return what identifies the data behind the responses; None if some of it has no version.

    It does not depend on a page's offset: see compile.
    """
    versions = [(name, response.version) for name, response in sorted(responses.items())]
    if any(version is None for _, version in versions):
        return None
    return blake2b(json.dumps(versions).encode(), digest_size=_VERSION_BYTES).digest()


def _too_long(length: int) -> LimitExceeded:
    return LimitExceeded(
        f"The report is too long for pages: the link to the next one would have {length} characters or more; at most "
        f"{_LONGEST_LINK} are allowed. Filter by fewer values."
    )


def _object(body: bytes) -> Mapping[str, object]:
    found = read_json(body)
    assert isinstance(found, dict)  # noqa: S101 - it was parsed as a report
    return found


def _read(token: str, key: bytes, subject: bytes) -> tuple[int, bytes]:
    """Return the time and the version in a token; raises DataChanged unless it was signed for the subject."""
    try:
        content = b64decode(token, altchars=b"-_", validate=True)
    except ValueError:
        content = b""
    state, signature = content[:-_SIGNATURE_BYTES], content[-_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(key, state, subject)):
        raise DataChanged("This link does not continue this report. Follow links without changes, or start again.")
    return int.from_bytes(state[:_TIME_BYTES]), state[_TIME_BYTES:]


def _signature(key: bytes, state: bytes, subject: bytes) -> bytes:
    return hmac.digest(key, state + subject, "sha256")[:_SIGNATURE_BYTES]
