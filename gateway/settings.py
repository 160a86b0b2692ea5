"""Every setting of the gateway, grouped by topic. Each is an environment variable: GATEWAY_ and the field's name.

configuration.py reads them. docs/settings.md and `gateway serve --help` are generated from these descriptions.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, IPvAnyNetwork, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode, SettingsConfigDict

from gateway.accounts.settings import AccountSettings
from gateway.auth.settings import OAuthSettings
from gateway.configuration import (
    PREFIX,
    SETTINGS_FILE,
    Bytes,
    Count,
    Port,
    Seconds,
    SettingsInvalid,
    reject,
    separated_by_commas,
    variable_of,
    with_files,
)
from gateway.druid.memory_budget import GROWTH
from gateway.druid.settings import CompletenessSettings, DruidAccess, DruidServices, DruidSettings
from gateway.query.limits import Limits

__all__ = [
    "Settings",
    "SettingsInvalid",
    "reject_unknown_keys",
    "reject_unknown_variables",
    "variables",
]

TitledUrl = Annotated[str, Field(pattern="^[^=]+=https?://[^/]")]

_COMMAS: Final = BeforeValidator(separated_by_commas)
_LIMITS: Final = Limits()

OTHER_PROGRAMS_VARIABLES: Final = frozenset(
    {
        # Callers: var/demo.env contains them.
        "GATEWAY_URL", "GATEWAY_TOKEN", "GATEWAY_ORGANIZATION_ID", "GATEWAY_PARTNER_ORGANIZATION_ID",
        # docker compose: see docs/compose.md.
        "GATEWAY_IMAGE", "GATEWAY_ENV_FILE", "GATEWAY_DATABASE_PASSWORD",
    }
)  # fmt: skip
"""Variables with the gateway's prefix that it does not read and that are no mistakes."""

# Kubernetes sets these in every pod if a Service is named `gateway`.
_KUBERNETES: Final = re.compile(r"GATEWAY_(SERVICE_(HOST|PORT)|PORT_[0-9]+_)\w*", re.ASCII)


class ServerSettings(BaseModel):
    """The HTTP server."""

    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen on.")
    port: Port = Field(default=8080, description="The port to listen on; 0 chooses a free one.")
    metrics_port: Port | None = Field(
        default=None, description="A separate port that serves `/metrics` to Prometheus. If unset, there is none."
    )
    request_timeout: Seconds = Field(
        default=60.0,
        description="The deadline of a request, in seconds. Druid receives the remaining time as its timeout.",
    )
    body_timeout: Seconds = Field(
        default=20.0, description="Seconds within which a request's body must arrive after its header."
    )
    idle_timeout: Seconds = Field(
        default=75.0,
        description="Seconds within which the header of a connection's next request must arrive. Set it higher than "
        "the time for which your load balancer keeps connections open.",
    )
    shutdown_timeout: float = Field(
        default=25.0,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="Seconds that running requests have after SIGTERM; then they are cancelled, also in Druid. Set it "
        "lower than the time after which the process would be killed.",
    )
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode, _COMMAS] = Field(
        default=(),
        description="Networks of the proxies in front of the gateway, separated by commas, such as "
        "`10.0.0.0/8,fd00::/8`. Their X-Forwarded-For header determines a caller's address. If unset, the address "
        "is that of the connection.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, _COMMAS] = Field(
        default=("*",),
        description="Origins whose web pages may read responses, separated by commas, such as "
        "`https://dashboard.example`. `*` allows every origin: there are no cookies, so that a page needs a credential "
        "of its own. If empty, no other origin is allowed.",
    )

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if each != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@\s,]+", each):
                raise ValueError("is neither * nor a list of origins such as https://dashboard.example:8443")
        return value


class CatalogSettings(BaseModel):
    """Data sets."""

    catalog: Annotated[tuple[Path, ...] | None, NoDecode, _COMMAS] = Field(
        default=None,
        min_length=1,
        description="Files that describe the data sets, or folders of them, separated by commas. They replace the "
        "examples that come with the gateway; docs/data-sets.md explains them.",
    )
    schema_period: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = Field(
        default=10.0,
        description="Seconds between two comparisons of the data sets with Druid's columns. A data set that does not "
        "match is not served (503).",
    )


class CommandSettings(CatalogSettings, DruidServices, DruidAccess):
    """What `gateway catalog` and `gateway ingest` need: data sets, and where Druid is."""


class ReportLimits(BaseModel):
    """The size of a report."""

    max_rows: Count = Field(default=_LIMITS.rows, description="Rows of a response.")
    max_buckets: Count = Field(default=_LIMITS.buckets, description="Time buckets of a report.")
    max_interval_days: Count = Field(default=_LIMITS.interval_days, description="The length of an interval, in days.")
    max_body_bytes: Bytes = Field(default=262_144, description="The length of a request body.")
    max_answer_bytes: Bytes = Field(default=67_108_864, description="The length of one response of Druid.")
    body_memory: Bytes = Field(
        default=67_108_864,
        description="Memory for all request bodies in transit. One organization can use half of it. A body for which "
        "no memory is left gets a 429.",
    )
    answer_memory: Bytes = Field(
        default=536_870_912,
        description=f"Memory for all responses in transit; one takes about {GROWTH} times its length. One "
        "organization can use half of it. A report for which no memory is left gets a 429. Up to a quarter holds "
        "responses for reuse while no response in transit needs it.",
    )

    @model_validator(mode="after")
    def _memory_for_one_answer(self) -> Self:
        if self.body_memory < 2 * self.max_body_bytes:
            raise ValueError(
                f"GATEWAY_BODY_MEMORY is too small for one body: set it to at least {2 * self.max_body_bytes}, or "
                "lower GATEWAY_MAX_BODY_BYTES"
            )
        if self.answer_memory < GROWTH * self.max_answer_bytes:
            raise ValueError(
                "GATEWAY_ANSWER_MEMORY is too small for one response: set it to at least "
                f"{GROWTH * self.max_answer_bytes}, or lower GATEWAY_MAX_ANSWER_BYTES"
            )
        return self


class RateLimits(BaseModel):
    """Rate limits."""

    requests_per_minute: Count = Field(default=6_000, description="Requests of one organization in a minute.")
    concurrent_reports: Count = Field(default=20, description="Reports of one organization at the same time.")
    cpu_seconds_per_minute: Seconds = Field(
        default=30.0,
        description="CPU seconds of this process that the requests of one organization may use in a minute.",
    )
    failed_authentications_per_minute: Count = Field(
        default=100, description="Failed authentications of one address in a minute."
    )
    limits_url: SecretStr | None = Field(
        default=None,
        description="A Redis in which several processes count these limits together: `redis://host:port`, "
        "`redis://:password@host:port` or `rediss://…`. If unset, each process counts for itself.",
    )

    @field_validator("limits_url")
    @classmethod
    def _is_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"rediss?://[^/]", value.get_secret_value()):
            raise ValueError("not a Redis URL: use redis://host:port or rediss://host:port")
        return value


class ExplorerSettings(BaseModel):
    """The explorer: the page at `/explore` and the API reference at `/docs`."""

    explorer: Literal["on", "off"] = Field(default="on", description="`off`: neither page is served.")
    explorer_name: str = Field(default="Reporting", min_length=1, max_length=60, description="The pages' name.")
    explorer_color: str = Field(default="#3152c8", pattern="^#[0-9a-fA-F]{6}$", description="The pages' color.")
    explorer_links: Annotated[tuple[TitledUrl, ...], NoDecode, _COMMAS] = Field(
        default=(),
        description="Links at the top of the pages, separated by commas, such as `Support=https://example.com/help`.",
    )


class LoggingSettings(BaseModel):
    """Logging."""

    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="`json`, `text`, or `auto`: text on a terminal and JSON elsewhere."
    )


class Settings(
    ServerSettings,
    CatalogSettings,
    DruidSettings,
    CompletenessSettings,
    ReportLimits,
    RateLimits,
    ExplorerSettings,
    LoggingSettings,
    AccountSettings,
    DruidAccess,
):
    """All settings."""

    # GATEWAY_OAUTH_USER_CLAIM is oauth.user_claim: only the first underscore after the prefix separates names.
    model_config = SettingsConfigDict(title="Settings", env_nested_delimiter="_", env_nested_max_split=1)

    oauth: OAuthSettings | None = Field(
        default=None, description="An OAuth2 provider. If unset, only API tokens are accepted."
    )

    @model_validator(mode="after")
    def _druid_is_one_cluster(self) -> Self:
        self.druid_security.check((*self.druid_broker_url, *self.druid_coordinator_url))
        return self

    @model_validator(mode="after")
    def _completeness_has_a_coordinator(self) -> Self:
        if self.completeness == "on" and not self.druid_coordinator_url:
            raise ValueError(
                "GATEWAY_DRUID_COORDINATOR_URL is not set. Set it to the URL of Druid's Coordinator, so that missing "
                "data is an error; or set GATEWAY_COMPLETENESS=off to accept numbers that are silently incomplete"
            )
        if self.completeness_max_age <= self.coverage_period:
            raise ValueError("GATEWAY_COMPLETENESS_MAX_AGE must be longer than GATEWAY_COVERAGE_PERIOD")
        return self

    @property
    def limits(self) -> Limits:
        """How large a report may be."""
        return Limits(rows=self.max_rows, buckets=self.max_buckets, interval_days=self.max_interval_days)


GROUPS: Final[tuple[type[BaseModel], ...]] = (
    AccountSettings, ServerSettings, CatalogSettings, DruidSettings, DruidAccess, CompletenessSettings, ReportLimits,
    RateLimits, OAuthSettings, ExplorerSettings, LoggingSettings,
)  # fmt: skip


def variables() -> Iterator[tuple[str, Mapping[str, FieldInfo]]]:
    """Yield the title of each group of settings and its environment variables."""
    for group in GROUPS:
        scope = ("oauth",) if group is OAuthSettings else ()
        yield (group.__doc__ or "", {variable_of(*scope, name): each for name, each in group.model_fields.items()})


def reject_unknown_variables(environment: Mapping[str, str]) -> None:
    """Raise `SettingsInvalid` if a variable has the gateway's prefix and no meaning: it is probably a typo."""
    known = with_files({variable: field for _, group in variables() for variable, field in group.items()})
    accepted = known | {SETTINGS_FILE} | OTHER_PROGRAMS_VARIABLES
    own = {name: name.upper() for name in environment if name.upper().startswith(PREFIX)}
    unknown = {name: upper for name, upper in own.items() if upper not in accepted and not _KUBERNETES.fullmatch(upper)}
    reject("These environment variables are not settings of the gateway; correct or unset them", unknown, known)


def reject_unknown_keys(table: Mapping[str, object]) -> None:
    """Raise `SettingsInvalid` if a key of the settings file is not a setting."""
    known = with_files({name: each for name, each in Settings.model_fields.items() if name != "oauth"})
    known |= {f"oauth.{name}" for name in OAuthSettings.model_fields}
    unknown = {key: key.lower().removeprefix(PREFIX.lower()) for key in _flat(table) if key not in known}
    reject(
        "These keys of GATEWAY_SETTINGS_FILE are not settings of the gateway; correct or remove them", unknown, known
    )


def _flat(table: Mapping[str, object]) -> Iterator[str]:
    """Yield the keys of a TOML file; those of the table [oauth] with its name."""
    for key, value in table.items():
        if key == "oauth" and isinstance(value, Mapping):
            yield from (f"oauth.{each}" for each in value)
        else:
            yield key
