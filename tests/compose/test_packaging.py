"""What the stack exposes, and what it does not."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.compose.stack import SECRETS, Caller, Stack, StackError, free_range, fresh_stack
from tests.live.reports import report
from tests.serving import D


@pytest.fixture(scope="module")
def described(stack: Stack) -> Any:
    return json.loads(stack.compose("--profile", "*", "config", "--format", "json"))["services"]


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("missing", SECRETS)
def test_without_a_secret_nothing_starts_and_the_message_says_how_to_create_one(missing: str) -> None:
    fresh = fresh_stack()
    without = {name: value for name, value in fresh.environment.items() if name != missing}
    with pytest.raises(StackError, match=rf"{missing} is missing a value: docs/compose\.md says how") as refused:
        dataclasses.replace(fresh, environment=without).compose("config")
    assert not any(secret in str(refused.value) for secret in without.values() if len(secret) == 64)


def test_every_published_port_is_on_loopback(described: Any) -> None:
    published = [port for service in described.values() for port in service.get("ports", ())]
    assert len(published) == 4
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_every_service_has_a_memory_limit_and_a_health_check(described: Any) -> None:
    assert all(int(service["mem_limit"]) > 0 for service in described.values())
    one_shot = {name for name, service in described.items() if service.get("healthcheck", {}).get("disable")}
    assert one_shot == {"accounts", "database", "ingest"}
    # PostgreSQL's entrypoint writes to folders of its image.
    assert {name for name, service in described.items() if not service.get("read_only")} == {"postgres"}


def test_the_gateway_runs_without_privileges_in_a_read_only_file_system(stack: Stack) -> None:
    in_gateway = ("exec", "-T", "gateway")
    assert stack.compose(*in_gateway, "id", "-u").strip() == "10001"
    with pytest.raises(StackError, match="Read-only file system"):
        stack.compose(*in_gateway, "touch", "/opt/gateway/changed")
    capabilities = stack.compose(*in_gateway, "grep", "-E", "^(CapEff|CapBnd|NoNewPrivs)", "/proc/1/status").split()
    assert capabilities == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


def test_the_image_contains_the_gateway_and_nothing_else_of_the_repository(stack: Stack) -> None:
    listed = stack.compose("exec", "-T", "gateway", "ls", "/opt/gateway/lib/python3.11/site-packages").split()
    assert "gateway" in listed
    assert not {"pytest", "ruff", "tests", "druid", "hatchling", "locust"} & set(listed)


def test_no_secret_is_in_any_log(stack: Stack) -> None:
    logs = stack.compose("logs", "--no-color")
    assert not any(stack.environment[name] in logs for name in SECRETS)


def test_druids_services_cannot_reach_the_stores_of_the_gateway(stack: Stack) -> None:
    with pytest.raises(StackError, match=r"bad address|unable to resolve"):
        stack.compose("exec", "-T", "broker", "wget", "-T", "5", "-t", "1", "-O", "-", "http://redis:6379/")


def test_the_gateways_role_in_postgresql_owns_its_database_and_is_no_superuser(stack: Stack) -> None:
    query = """SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication, pg_get_userbyid(datdba) = rolname
        FROM pg_roles, pg_database WHERE rolname = 'gateway' AND datname = 'gateway'"""
    psql = ("psql", "-h", "127.0.0.1", "-U", "gateway", "-d", "gateway", "-tAc", query)
    password = f"PGPASSWORD={stack.environment['GATEWAY_DATABASE_PASSWORD']}"
    assert stack.compose("exec", "-T", "-e", password, "postgres", *psql).strip() == "f|t"


def test_the_health_check_does_not_depend_on_other_services(stack: Stack) -> None:
    container = stack.compose("ps", "-q", "gateway").strip()
    inspected = json.loads(stack.docker("inspect", container))
    [command] = inspected[0]["Config"]["Healthcheck"]["Test"][3:]
    assert "'/healthz'" in command


def test_several_gateways_run_on_a_range_of_ports(stack: Stack, caller: Callable[[str], Caller]) -> None:
    ports = free_range(3)
    several = dataclasses.replace(stack, environment={**stack.environment, "GATEWAY_PORT": f"{ports[0]}-{ports[-1]}"})
    several.compose("up", "--wait", "--scale", "gateway=3", "gateway")
    try:
        callers = [dataclasses.replace(caller(D), port=port) for port in ports]
        assert [each.post(report()).status for each in callers] == [200] * 3
    finally:
        stack.up()
