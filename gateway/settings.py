"""Everything that can be set, from the environment: GATEWAY_ and the name in capitals."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AnyHttpUrl, Field, IPvAnyNetwork, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from gateway.accounts.settings import AccessSettings
from gateway.druid.memory_budget import GROWTH
from gateway.query.aggregations import Uniques
from gateway.query.report import Limits

_LIMITS = Limits()


class SettingsInvalid(Exception):
    """The environment says something that cannot be; the message names every variable at fault."""


class Settings(AccessSettings):
    """The gateway's settings: the account store's and these."""

    model_config = SettingsConfigDict(title="Settings")

    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    catalog: Annotated[tuple[Path, ...] | None, NoDecode] = Field(
        default=None,
        min_length=1,
        description="Files that describe the data sets, or folders of them, separated by commas. They replace the "
        "examples that come with the gateway; docs/data-sets.md explains them.",
    )
    druid_broker_url: Annotated[tuple[AnyHttpUrl, ...], NoDecode] = Field(
        default=(AnyHttpUrl("http://127.0.0.1:8082"),),
        min_length=1,
        description="Where Druid's broker is; several with commas between them.",
    )
    druid_coordinator_url: AnyHttpUrl | None = Field(
        default=None,
        description="Where Druid's coordinator is, which knows what data there is: what no server holds at the moment "
        "is then an error. Without it such data is left out of the numbers without a word.",
    )
    coverage_period: float = Field(
        default=10.0, gt=0, description="Seconds between two questions to the coordinator about what data there is."
    )
    druid_queries: int = Field(
        default=16,
        ge=2,
        description="Queries that Druid gets at once; more of them wait. Two for each processing thread of its "
        "historicals keep it busy and leave turns to others.",
    )
    druid_heavy_queries: int = Field(
        default=4, ge=1, description="Queries at once that are likely to take long, in Druid's lane `heavy`."
    )
    druid_queue: int = Field(default=100, ge=2, description="Queries that may wait for one of these places.")
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="A port for Prometheus (/metrics); without it there is none."
    )
    request_timeout: float = Field(
        default=60.0, gt=0, description="Seconds until a request must be answered; Druid is told what is left of them."
    )
    uniques: Uniques = Field(
        default=Uniques.SKETCH,
        description="How hyperUnique counts: `sketch` keeps within 2 %; `metric` reads the hyperUnique metrics that "
        "ingestion made, which is faster for the largest organizations and errs by more.",
    )
    max_rows: int = Field(default=_LIMITS.rows, ge=1, description="The most rows that an answer may have.")
    max_buckets: int = Field(default=_LIMITS.buckets, ge=1, description="The most buckets that a report may have.")
    max_interval_days: int = Field(default=_LIMITS.interval_days, ge=1, description="The longest interval, in days.")
    max_body_bytes: int = Field(default=262_144, ge=1024, description="The longest request body.")
    max_answer_bytes: int = Field(
        default=67_108_864, ge=1024, description="The longest answer of Druid's that is taken in."
    )
    answer_memory: int = Field(
        default=536_870_912,
        ge=1024,
        description=f"Bytes of memory for all answers on their way; one takes about {GROWTH} times its length. "
        "Half of it is the most for one organization with several. What no room is left for is refused (429).",
    )
    body_timeout: float = Field(
        default=20.0, gt=0, description="Seconds in which a request's body must have come, once its header is there."
    )
    idle_timeout: float = Field(
        default=75.0,
        gt=0,
        description="Seconds until the header of a connection's next request must have come. Make it longer than a "
        "load balancer keeps its connections.",
    )
    shutdown_timeout: float = Field(
        default=25.0,
        ge=0,
        description="Seconds for which running requests may go on after SIGTERM; what runs then is cancelled in Druid. "
        "Make it shorter than the time after which the process would be killed.",
    )
    requests_per_minute: int = Field(
        default=6_000, ge=1, description="Requests that one organization may make in a minute."
    )
    concurrent_reports: int = Field(
        default=20, ge=1, description="Reports of one organization that may run at the same time."
    )
    failed_authentications_per_minute: int = Field(
        default=100, ge=1, description="Authentications from one address that may fail in a minute."
    )
    limits_url: SecretStr | None = Field(
        default=None,
        description="A Redis in which several gateways count for these limits together: redis://host:port, with "
        ":password@ before the host where there is one, or rediss://… . Without it each process counts for itself.",
    )
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        default=(),
        description="Networks of the proxies in front of the gateway, such as 10.0.0.0/8,fd00::/8: whose "
        "X-Forwarded-For says what address a request comes from. Without them it is the one that connects.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="How to log: json, text, or text on a terminal and json elsewhere."
    )

    @field_validator("catalog", "trusted_proxies", "druid_broker_url", mode="before")
    @classmethod
    def _separated_by_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return [each.strip() for each in value.split(",") if each.strip()]
        return (value,) if isinstance(value, AnyHttpUrl) else value

    @model_validator(mode="after")
    def _has_room_for_one_answer(self) -> Self:
        if self.answer_memory < GROWTH * self.max_answer_bytes:
            raise ValueError(
                f"GATEWAY_ANSWER_MEMORY has no room for one answer: make it {GROWTH * self.max_answer_bytes} or more, "
                "or GATEWAY_MAX_ANSWER_BYTES smaller"
            )
        return self

    @field_validator("limits_url")
    @classmethod
    def _is_a_redis(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("give the address of a Redis: redis://host:port or rediss://host:port")
        return value

    @property
    def limits(self) -> Limits:
        """How large a report may be."""
        return Limits(rows=self.max_rows, buckets=self.max_buckets, interval_days=self.max_interval_days)


def load_settings() -> Settings:
    """Return the settings of this process's environment; raises SettingsInvalid with every problem at once."""
    try:
        return Settings.from_environment()
    except ValidationError as error:
        lines = [
            f"  {'_'.join(['GATEWAY', *map(str, each['loc'])]).upper()}: {each['msg']}"
            if each["loc"]
            else f"  {each['msg']}"
            for each in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsInvalid("These settings are wrong:\n" + "\n".join(lines)) from None
