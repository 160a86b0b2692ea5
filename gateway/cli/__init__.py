"""The command line: gateway serve, accounts, catalog, ingest."""

import gc
import sys

import structlog
import typer
import uvloop
from aiohttp import web
from pydantic import SecretStr

from gateway.accounts.cli import app as accounts
from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.settings import OAuthSettings
from gateway.app import create_app
from gateway.catalog.load import CatalogInvalid, load_catalog
from gateway.cli.catalog import app as catalog
from gateway.ingest.cli import app as ingest
from gateway.settings import Settings, SettingsInvalid, load_settings
from gateway.telemetry.logging import configure_logging

log = structlog.get_logger(__name__)

app = typer.Typer(
    help="A public, multi-tenant reporting API in front of Apache Druid.", no_args_is_help=True, add_completion=False
)
app.add_typer(accounts, name="accounts")
app.add_typer(catalog, name="catalog")
app.add_typer(ingest, name="ingest")


def _settings_help() -> str:
    lines = ["Serve the reporting API over HTTP until Ctrl-C or SIGTERM.", "", "Settings come from the environment:"]
    fields = {name: field for name, field in Settings.model_fields.items() if name != "oauth"}
    fields |= {f"oauth_{name}": field for name, field in OAuthSettings.model_fields.items()}
    for name, field in fields.items():
        value = field.get_default(call_default_factory=True, validated_data={})
        value = value.get_secret_value() if isinstance(value, SecretStr) else value
        default = "required" if field.is_required() else f"default: {getattr(value, 'value', value)}"
        default = "required with an OAuth2 provider" if field.is_required() and name.startswith("oauth_") else default
        lines += ["", f"GATEWAY_{name.upper()} ({default})", f"  {field.description}"]
    lines += ["", "OTEL_EXPORTER_OTLP_ENDPOINT and OpenTelemetry's other variables (default: no traces)"]
    lines += ["  Where traces of requests are sent; docs/operations.md says more."]
    return "\b\n" + "\n".join(lines)


@app.command(help=_settings_help())
def serve() -> None:
    try:
        settings = load_settings()
        configure_logging(settings.log_format)
        application = create_app(settings, load_catalog(settings.catalog).values())
        # What was made until now stays: the garbage collector need not look at it again and again.
        gc.freeze()
        web.run_app(
            application,
            host=settings.host,
            port=settings.port,
            loop=uvloop.new_event_loop(),
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=settings.idle_timeout,
            # Requests have their own time to finish; this is for callers who still send what nobody reads.
            shutdown_timeout=1,
            print=lambda _: log.info("listening", host=settings.host, port=settings.port),
        )
    except CatalogInvalid as error:
        raise typer.Exit(_complain(f"These data set files are wrong:\n{error}")) from None
    except (SettingsInvalid, DatabaseNotReady) as error:
        raise typer.Exit(_complain(str(error))) from None
    except OSError as error:
        raise typer.Exit(_complain(f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}.")) from None


def _complain(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


def main() -> None:
    """Run the command line."""
    app()
