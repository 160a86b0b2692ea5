"""docs/settings.md lists every setting as settings.py describes it. `python -m tests.docs.test_settings` writes it."""

from pathlib import Path

from gateway.cli import default_of
from gateway.configuration import is_secret
from gateway.settings import variables

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

INTRODUCTION = """\
# Settings

Every setting is an environment variable, or a key of a TOML file. `gateway serve --help` prints this list, too. A
gateway needs `GATEWAY_TOKEN_SECRET`, the addresses of Druid, and usually an account database outside its own machine:

    export GATEWAY_TOKEN_SECRET=$(openssl rand -base64 32)   # keep it: API tokens are hashed with it
    export GATEWAY_DATABASE_URL=postgresql://gateway:…@db.example/gateway?sslmode=verify-full
    export GATEWAY_DRUID_BROKER_URL=http://broker.example:8082
    export GATEWAY_DRUID_COORDINATOR_URL=http://coordinator.example:8081
    gateway accounts migrate && gateway serve

- **Wrong values** end every command with exit code 2 (`gateway check`: 1) and a list of all problems. The messages
  never repeat a value.
- **Unknown variables** that begin with `GATEWAY_` are rejected, with the nearest valid name. Exceptions are
  `GATEWAY_URL`, `GATEWAY_TOKEN`, `GATEWAY_ORGANIZATION_ID` and `GATEWAY_PARTNER_ORGANIZATION_ID`, which callers use
  (`var/demo.env`), `GATEWAY_IMAGE`, `GATEWAY_ENV_FILE` and `GATEWAY_DATABASE_PASSWORD` of
  [docker compose](compose.md), and what Kubernetes sets for a Service named `gateway`. Such a
  Service also sets `GATEWAY_PORT` to a URL: set `enableServiceLinks: false`.
- **Secrets**, marked (secret), can be in a file: `GATEWAY_TOKEN_SECRET_FILE=/run/secrets/token` instead of
  `GATEWAY_TOKEN_SECRET`. A trailing line feed is not part of the secret. Setting both is an error.
- **A TOML file** can contain settings: `GATEWAY_SETTINGS_FILE=/etc/gateway.toml`, or `gateway --settings FILE serve`.
  A key is a variable's name in lower case without `GATEWAY_`; those of the OAuth2 provider are in the table `[oauth]`.
  Lists are arrays. Environment variables win over the file, and unknown keys are rejected. If the file contains a
  secret, make it unreadable for other users (otherwise the log has a warning), or name the secret's own file:
  `token_secret_file`.

      port = 8080
      database_url_file = "/run/secrets/database-url"
      token_secret_file = "/run/secrets/token"
      druid_broker_url = ["https://broker-1.example:8282", "https://broker-2.example:8282"]
      druid_coordinator_url = "https://coordinator.example:8281"
      druid_username = "gateway"
      druid_password_file = "/run/secrets/druid"
      druid_ca_file = "/etc/ssl/druid-ca.pem"

      [oauth]
      issuer = "https://login.example.com/"
      audience = "https://reports.example.com"
      jwks = "https://login.example.com/keys"

- **`gateway accounts`, `gateway catalog` and `gateway ingest`** read the settings that they need in the same way. An
  option wins over them; so do, for `gateway ingest`, the variables `DRUID_OVERLORD_URL`, `DRUID_COORDINATOR_URL` and
  `DRUID_BROKER_URL`.
- **`gateway check`** reads the settings as `gateway serve` does, and tries the account database, Druid, the data set
  files, the OAuth2 provider's keys and the Redis of the rate limits.
- **PostgreSQL** URLs can have libpq's parameters `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `sslpassword`,
  `sslcrl`, `target_session_attrs`, `application_name`, `passfile`, `host`, `port` and `user`. For a private CA use
  `?sslmode=verify-full&sslrootcert=/path/to/ca.pem`.
- Times are in seconds, sizes in bytes.
"""


def page() -> str:
    parts = [INTRODUCTION]
    for title, fields in variables():
        parts.append(f"\n## {title.rstrip('.')}\n\n| Variable | Default | Meaning |\n|---|---|---|\n")
        for variable, field in fields.items():
            default = "required" if field.is_required() else f"`{default_of(field)}`"
            secret = " (secret)" if is_secret(field) else ""
            parts.append(f"| `{variable}`{secret} | {default.replace('`unset`', 'unset')} | {field.description} |\n")
    return "".join(parts)


def test_the_settings_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.docs.test_settings`"


def test_every_setting_has_a_description_of_whole_sentences() -> None:
    for _, fields in variables():
        for variable, field in fields.items():
            assert field.description, variable
            assert field.description.endswith("."), variable


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
