"""The settings of the connection to Druid. Commands that run no queries of callers need no slots."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from gateway.configuration import CONFIDENTIAL, Configuration, Count, Seconds, separated_by_commas
from gateway.druid.api.security import Security
from gateway.druid.api.urls import ServiceUrl
from gateway.query.aggregations import Uniques

_FILES: Final = ("druid_ca_file", "druid_client_cert", "druid_client_key")


class DruidAccess(Configuration):
    """Access to Druid."""

    druid_username: str | None = Field(
        default=None,
        min_length=1,
        description="The user for HTTP basic authentication at all of Druid's services.",
    )
    druid_password: SecretStr | None = Field(default=None, description="The user's password.")
    druid_ca_file: Path | None = Field(
        default=None,
        description="A PEM file of the CAs that sign the certificates of Druid's services, which have URLs of "
        "`https://…`. If unset, the CAs of the system are trusted.",
    )
    druid_client_cert: Path | None = Field(
        default=None,
        description="A PEM file with the gateway's own certificate, for Druid services that require one (mTLS).",
    )
    druid_client_key: Path | None = Field(
        default=None,
        description="A PEM file with that certificate's private key, not encrypted. If unset, the key is in the file "
        "of the certificate.",
    )

    @field_validator(*_FILES)
    @classmethod
    def _is_readable_file(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                value.read_bytes()
            except OSError as error:
                raise ValueError(f"cannot read the file: {error.strerror}") from None
        return value

    @cached_property
    def druid_security(self) -> Security:
        """Credentials and TLS for every client of Druid."""
        return Security.load(
            username=self.druid_username,
            password=None if self.druid_password is None else self.druid_password.get_secret_value(),
            ca_file=self.druid_ca_file,
            client_cert=self.druid_client_cert,
            client_key=self.druid_client_key,
        )

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        _ = self.druid_security
        return self


class DruidServices(BaseModel):
    """Where Druid is."""

    druid_broker_url: Annotated[tuple[ServiceUrl, ...], NoDecode, CONFIDENTIAL] = Field(
        default=(ServiceUrl("http://127.0.0.1:8082"),),
        min_length=1,
        description="The URL of Druid's Broker or Router, such as `http://host:port`, `https://host/prefix` or "
        "`http://user:password@host:port`; several are separated by commas.",
    )
    druid_coordinator_url: Annotated[tuple[ServiceUrl, ...], NoDecode, CONFIDENTIAL] = Field(
        default=(),
        description="The URL of Druid's Coordinator, which knows what data exists; several are separated by commas. "
        "Credentials are sent to these hosts only, also after a redirect to the leader.",
    )

    @field_validator("druid_broker_url", "druid_coordinator_url", mode="before")
    @classmethod
    def _urls_separated_by_commas(cls, value: object) -> object:
        return (value,) if isinstance(value, ServiceUrl) else separated_by_commas(value)


class DruidSettings(DruidServices):
    """Druid and the slots for queries."""

    druid_queries: Annotated[Count, Field(ge=2)] = Field(
        default=16,
        description="Slots: queries that run in Druid at the same time; others wait. Two for each processing "
        "thread of the Historicals keep these busy.",
    )
    druid_heavy_queries: Count = Field(
        default=4, description="Slots for queries that are expected to take long, in Druid's lane `heavy`."
    )
    druid_queue: Annotated[Count, Field(ge=2)] = Field(default=100, description="Queries that may wait for a slot.")
    reuse_seconds: float = Field(
        default=1.0,
        ge=0,
        le=3_600,
        allow_inf_nan=False,
        description="Seconds for which a response of Druid is reused for identical reports of the same organization. "
        "Later, Druid confirms it without reading the data again if its segments have not changed. 0: no reuse, no "
        "ETags, and no reports in pages.",
    )
    uniques: Uniques = Field(
        default=Uniques.SKETCH,
        description="How `hyperUnique` counts. `sketch` errs by at most 2 %; `metric` reads the hyperUnique metrics "
        "created by the ingestion, which is faster for the largest organizations and less exact.",
    )


class CompletenessSettings(BaseModel):
    """Completeness: no response over a part of the data."""

    completeness: Literal["on", "off"] = Field(
        default="on",
        description="`on`: a report is an error (503) while Druid does not serve all of its data. `off`: such data is "
        "silently missing from the numbers; no Coordinator is needed.",
    )
    completeness_max_age: Seconds = Field(
        default=300.0,
        description="Seconds for which the Coordinator's last response about a data source is valid; with streams, a "
        "Broker's, too. Reports on it are errors (503) afterwards, until both respond again.",
    )
    coverage_period: Seconds = Field(
        default=10.0, description="Seconds between two requests to the Coordinator for the segments that exist."
    )
