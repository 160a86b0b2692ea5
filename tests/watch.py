"""Checks the log of a whole test run: no line may contain a credential or a value of a filter.

Secrets are recorded where they enter the gateway: each created token, each Authorization header, each string in a
filter, and the secrets of the settings. At the end of the run, all log lines are searched for all of them.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture
from structlog.typing import EventDict, WrappedLogger

import gateway
from gateway.accounts import api_tokens as tokens
from gateway.accounts.store import Accounts
from gateway.auth import credentials
from gateway.query import filters
from gateway.query.filters import Filter
from gateway.tenancy.principal import Principal
from gateway.tenancy.tenant import Tenant, authorize
from tests.datasets import DATASETS

SHORTEST = 8
"""Shorter strings occur everywhere."""

# Log lines may contain column names, even if a filter has the same string.
_NAMES = {name for dataset in DATASETS.values() for name in (*dataset.by_name, dataset.tenant.partner_column)}
# Hypothesis also draws strings of the program's source, which log lines may contain.
_SOURCE = "".join(
    file.read_text(encoding="utf-8")
    for suffix in ("py", "yaml")
    for file in Path(gateway.__file__).parent.rglob(f"*.{suffix}")
)
_CREDENTIAL = re.compile(r"gwt_[a-z2-7]{8}_[A-Za-z0-9_-]{8,}|eyJ[A-Za-z0-9_-]{8,}\.")


class Watch:
    """The secrets and the log lines of a run."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._callers: set[str] = set()
        self._lines: set[str] = set()

    def keep_secret(self, text: str) -> None:
        if len(text) >= SHORTEST and text not in _NAMES:
            self._secrets.add(text)

    def know(self, *ids: str) -> None:
        """Log lines may contain the ids of calling users and organizations, even if a filter has a part of one."""
        self._callers.update(ids)

    def saw(self, line: str) -> None:
        self._lines.add(line)

    def told(self) -> list[str]:
        """Return each logged secret with its line."""
        by_start = defaultdict(list)
        callers = "\n".join(self._callers)
        for secret in self._secrets:
            if secret.lower() in callers:
                continue
            by_start[secret[:SHORTEST]].append(secret)
        found = []
        for line in self._lines:
            found += [f"{found[0]}: {line}" for found in _CREDENTIAL.finditer(line)]
            for at in range(len(line) - SHORTEST + 1):
                for secret in by_start.get(line[at : at + SHORTEST], ()):
                    if line.startswith(secret, at) and secret not in _SOURCE:
                        found.append(f"{secret}: {line}")
        return found


class _Handler(logging.Handler):
    """Receives the log records of libraries."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        # urllib3 sends the requests of gateway.client: what callers log of their own requests is theirs.
        if not record.name.startswith("urllib3."):
            self._watch.saw(self.format(record))


@pytest.fixture(scope="session", autouse=True)
def nothing_secret_is_logged() -> Iterator[None]:
    """Fail at the end of the run if a secret was logged."""
    watch = Watch()
    with pytest.MonkeyPatch.context() as patch:
        _note_secrets(watch, patch)
        _note_lines(watch, patch)
        yield
    told = watch.told()
    assert not told, f"{len(told)} log lines hold a secret, the first: {told[0]}"


def _note_secrets(watch: Watch, patch: pytest.MonkeyPatch) -> None:
    generate, parse, parse_filter, opened = tokens.generate, credentials.parse, filters.parse_filter, Accounts.__init__

    @wraps(generate)
    def generating() -> tokens.ApiToken:
        token = generate()
        watch.keep_secret(token.text)
        watch.keep_secret(token.text[13:])
        return token

    @wraps(parse)
    def parsing(values: Sequence[str], *, challenge: str) -> Any:
        for value in values:
            watch.keep_secret(value)
            watch.keep_secret(value.partition(" ")[2].strip())
        return parse(values, challenge=challenge)

    @wraps(parse_filter)
    def parsing_filter(body: Mapping[str, Any], *more: Any) -> Filter:
        for key in ("value", "values", "lower", "upper", "pattern"):
            value = body.get(key)
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str):
                    watch.keep_secret(each)
        return parse_filter(dict(body), *more)

    @wraps(authorize)
    async def authorizing(principal: Principal, organization_id: str, *more: Any) -> Tenant:
        watch.know(principal.user_id, principal.organization_id, organization_id, organization_id.lower())
        return await authorize(principal, organization_id, *more)

    @wraps(opened)
    def opening(accounts: Accounts, settings: Any, *more: Any) -> None:
        watch.keep_secret(settings.token_secret.get_secret_value())
        opened(accounts, settings, *more)

    patch.setattr(tokens, "generate", generating)
    patch.setattr(credentials, "parse", parsing)
    # Compound filters call it by the first name, and the parser by the second.
    patch.setattr(filters, "parse_filter", parsing_filter)
    patch.setattr("gateway.query.parts.parse_filter", parsing_filter)
    patch.setattr(Accounts, "__init__", opening)
    patch.setattr("gateway.web.authentication.authorize", authorizing)


def _note_lines(watch: Watch, patch: pytest.MonkeyPatch) -> None:
    def see(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        watch.saw(repr(structlog.processors.format_exc_info(logger, name, dict(event))))
        return event

    capture = LogCapture.__call__

    def capturing(self: LogCapture, logger: WrappedLogger, name: str, event: EventDict) -> Any:
        # A test that captures the log bypasses the processors below.
        return capture(self, logger, name, see(logger, name, event))

    patch.setattr(LogCapture, "__call__", capturing)
    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[*processors[:-1], see, processors[-1]])
    logging.getLogger().addHandler(_Handler(watch))
