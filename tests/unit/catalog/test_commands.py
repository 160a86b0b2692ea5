"""GATEWAY_CATALOG and `gateway catalog check`: the commands read the same files with the same errors."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.catalog.check import SCHEMA_FILE
from gateway.cli import app
from gateway.settings import Settings
from tests.unit.catalog.conftest import VALID

SPEC = Path(__file__).parents[3] / "ingestion-specs" / "chat_sessions.json"


@pytest.fixture
def valid(tmp_path: Path) -> Path:
    file = tmp_path / "orders.yaml"
    file.write_text(VALID)
    return file


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    file = tmp_path / "wrong.yaml"
    file.write_text(VALID.replace("type: double", "type: doubles").replace("name: orders", "name: wrong"))
    return file


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", f"sqlite:///{tmp_path}/accounts.db")
    monkeypatch.setenv("GATEWAY_TOKEN_SECRET", "0" * 64)
    monkeypatch.setenv("GATEWAY_COMPLETENESS", "off")
    return monkeypatch


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_check_accepts_files_and_folders(valid: Path) -> None:
    ok = "orders: OK, 3 dimensions of shop-orders; not compared with Druid (set GATEWAY_DRUID_BROKER_URL)\n"
    assert run("catalog", "check", valid) == (0, ok)
    assert run("catalog", "check", valid.parent) == (0, ok)


def test_draft_rejects_a_name_that_a_file_cannot_have() -> None:
    code, output = run("catalog", "draft", "shop-orders", "--name", "shop-orders")
    assert (code, output) == (
        2,
        "--name: 'shop-orders' is not a letter, then letters, digits or underscores, at most 64 in all.\n",
    )


def test_check_lists_the_problems_and_fails(valid: Path, wrong: Path) -> None:
    code, output = run("catalog", "check", valid, wrong)
    assert code == 1
    assert output == (
        f"{wrong}:14:11: type: 'doubles' is not allowed (did you mean 'double'?); one of: string, long, double\n"
        "1 problem\n"
    )


def test_check_without_files_reads_the_configured_ones(environment: pytest.MonkeyPatch, wrong: Path) -> None:
    assert run("catalog", "check")[1].startswith("chat_sessions: OK, 17 dimensions of chat_sessions")
    environment.setenv("GATEWAY_CATALOG", str(wrong))
    assert run("catalog", "check")[0] == 1


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The option sets this variable, which monkeypatch restores.
    monkeypatch.setenv("GATEWAY_SETTINGS_FILE", "/nowhere")
    return tmp_path / "gateway.toml"


def test_the_commands_read_files_and_urls_of_the_settings_file(valid: Path, settings_file: Path) -> None:
    settings_file.write_text(f'catalog = ["{valid}"]\n')
    code, output = run("--settings", settings_file, "catalog", "check")
    assert (code, output.startswith("orders: OK, 3 dimensions of shop-orders; not compared")) == (0, True)

    urls = settings_file.with_name("url")
    urls.write_text("http://127.0.0.1:1\n")
    settings_file.write_text(f'catalog = "{valid}"\ndruid_broker_url_file = "{urls}"\n')
    for command in (["check"], ["draft", "shop-orders"]):
        code, output = run("--settings", settings_file, "catalog", *command)
        assert (code, "http://127.0.0.1:1" in output) == (2, True), output


def test_options_win_over_the_settings(valid: Path, settings_file: Path) -> None:
    settings_file.write_text('catalog = "/nowhere"\ndruid_broker_url = "http://127.0.0.1:2"\n')
    code, output = run("--settings", settings_file, "catalog", "check", valid, "--broker", "http://127.0.0.1:1")
    assert code == 2
    assert "http://127.0.0.1:1" in output
    assert "http://127.0.0.1:2" not in output


def test_check_prints_problems_as_json(wrong: Path) -> None:
    code, output = run("catalog", "check", wrong, "--json")
    assert code == 1
    (problem,) = json.loads(output)["problems"]
    assert (problem["file"], problem["line"], problem["column"]) == (str(wrong), 14, 11)


def test_check_rejects_a_url_that_is_none(valid: Path) -> None:
    for option in ("--broker", "--coordinator"):
        urls = {"--broker": "http://127.0.0.1:1", option: "druid:8082"}
        code, output = run("catalog", "check", valid, *(each for pair in urls.items() for each in pair))
        assert code == 2
        assert output.startswith(f"{option}: give a URL such as")


@pytest.mark.parametrize(
    "command", [["catalog", "check"], ["catalog", "draft", "orders"], ["ingest", "list"], ["serve"]]
)
def test_wrong_settings_end_each_command_alike(command: list[str], environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_DRUID_BROKER_URL", "druid:8082")
    code, output = run(*command)
    assert code == 2
    assert output.startswith("These settings are wrong:\n  GATEWAY_DRUID_BROKER_URL: give a URL such as")


def test_the_schema_can_be_printed_for_editors() -> None:
    assert run("catalog", "schema") == (0, SCHEMA_FILE.read_text())


def test_the_setting_names_files_and_folders_separated_by_commas(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_CATALOG", "/etc/gateway/catalog, orders.yaml")
    assert Settings.from_environment().catalog == (Path("/etc/gateway/catalog"), Path("orders.yaml"))
    environment.delenv("GATEWAY_CATALOG")
    assert Settings.from_environment().catalog is None


@pytest.mark.usefixtures("environment")
def test_an_empty_setting_is_not_a_catalog(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GATEWAY_CATALOG", "")
    code, output = run("serve")
    assert code == 2
    assert "GATEWAY_CATALOG" in output


def test_serve_does_not_start_with_a_faulty_file(environment: pytest.MonkeyPatch, wrong: Path) -> None:
    environment.setenv("GATEWAY_CATALOG", str(wrong))
    code, output = run("serve")
    assert code == 2
    assert output.startswith(f"These data set files are wrong:\n{wrong}:14:11: type: 'doubles' is not allowed")


def spec_file(folder: Path, **changes: Any) -> Path:
    """Write an ingestion spec for the valid file's data source, with its columns."""
    spec = json.loads(SPEC.read_text())
    schema = spec["spec"]["dataSchema"]
    several = {"type": "string", "multiValueHandling": "SORTED_SET"}
    schema["dataSource"] = "shop-orders"
    schema["dimensionsSpec"]["dimensions"] = [
        "ship_country",
        {"name": "amount", "type": "double"},
        {"name": "item_ids", **several},
        "customer",
        {"name": "suppliers", **several},
    ]
    schema["metricsSpec"] = [{"type": "hyperUnique", "name": "item_ids_unique", "fieldName": "item_ids"}]
    schema.update(changes)
    file = folder / "spec.json"
    file.write_text(json.dumps(spec))
    return file


def test_ingest_compares_a_spec_with_the_columns_of_the_files(valid: Path, tmp_path: Path) -> None:
    # Nothing listens at this address, so an accepted spec ends in a connection error.
    arguments = ("--catalog", valid, "--data", valid, "--overlord", "http://127.0.0.1:1")
    code, output = run("ingest", spec_file(tmp_path), *arguments)
    assert code == 1
    assert "was not sent" not in output
    code, output = run("ingest", spec_file(tmp_path, dimensionsSpec={"dimensions": ["country"]}), *arguments)
    assert code == 1
    for column in ("ship_country (string)", "amount (double)", "item_ids (string)", "customer", "suppliers"):
        assert f"lacks {column}" in output


def test_ingest_reads_the_files_of_the_settings_file(valid: Path, settings_file: Path, tmp_path: Path) -> None:
    settings_file.write_text(f'catalog = "{valid}"\ndruid_coordinator_url = "http://127.0.0.1:1"\n')
    code, output = run("--settings", settings_file, "ingest", spec_file(tmp_path), "--data", valid)
    assert (code, "was not sent" in output) == (1, False), output
    code, output = run("--settings", settings_file, "ingest", SPEC, "--catalog", tmp_path / "orders.yaml")
    assert code == 1
    assert (
        "is not in the gateway's catalog (shop-orders): give its data set file with --catalog or GATEWAY_CATALOG"
        in output
    )


def test_ingest_does_not_start_with_a_faulty_file(monkeypatch: pytest.MonkeyPatch, wrong: Path) -> None:
    monkeypatch.setenv("GATEWAY_CATALOG", str(wrong))
    code, output = run("ingest", SPEC)
    assert code == 2
    assert "wrong.yaml:14:11" in output.replace("\n", "")
