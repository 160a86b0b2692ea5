"""What the stack shows, and what it keeps to itself."""

import dataclasses
import json
from typing import Any

import pytest

from tests.compose.stack import SECRETS, Stack, StackError, fresh_stack


@pytest.fixture(scope="module")
def described(stack: Stack) -> Any:
    return json.loads(stack.compose("--profile", "*", "config", "--format", "json"))["services"]


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("missing", SECRETS)
def test_without_a_secret_nothing_starts_and_the_message_says_where_to_get_one(missing: str) -> None:
    fresh = fresh_stack()
    without = {name: value for name, value in fresh.environment.items() if name != missing}
    with pytest.raises(StackError, match=rf"{missing} is missing a value: docs/compose\.md says how") as refused:
        dataclasses.replace(fresh, environment=without).compose("config")
    assert not any(secret in str(refused.value) for secret in without.values() if len(secret) == 64)


def test_every_published_port_is_on_loopback(described: Any) -> None:
    published = [port for service in described.values() for port in service.get("ports", ())]
    assert len(published) == 4
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_every_service_has_a_memory_limit_and_says_how_it_is(described: Any) -> None:
    assert all(int(service["mem_limit"]) > 0 for service in described.values())
    one_shot = {name for name, service in described.items() if service.get("healthcheck", {}).get("disable")}
    assert one_shot == {"accounts", "ingest"}
    # PostgreSQL's entrypoint changes folders of its image.
    assert {name for name, service in described.items() if not service.get("read_only")} == {"postgres"}


def test_the_gateway_is_an_ordinary_user_in_a_file_system_that_it_cannot_change(stack: Stack) -> None:
    in_gateway = ("exec", "-T", "gateway")
    assert stack.compose(*in_gateway, "id", "-u").strip() == "10001"
    with pytest.raises(StackError, match="Read-only file system"):
        stack.compose(*in_gateway, "touch", "/opt/gateway/changed")
    capabilities = stack.compose(*in_gateway, "grep", "-E", "^(CapEff|CapBnd|NoNewPrivs)", "/proc/1/status").split()
    assert capabilities == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


def test_the_image_holds_the_gateway_and_nothing_of_the_checkout(stack: Stack) -> None:
    listed = stack.compose("exec", "-T", "gateway", "ls", "/opt/gateway/lib/python3.11/site-packages").split()
    assert "gateway" in listed
    assert not {"pytest", "ruff", "tests", "druid", "hatchling", "locust"} & set(listed)


def test_no_secret_is_in_any_log(stack: Stack) -> None:
    logs = stack.compose("logs", "--no-color")
    assert not any(stack.environment[name] in logs for name in SECRETS)


def test_druids_services_cannot_reach_the_stores_of_the_gateway(stack: Stack) -> None:
    with pytest.raises(StackError, match=r"bad address|unable to resolve"):
        stack.compose("exec", "-T", "broker", "wget", "-T", "5", "-t", "1", "-O", "-", "http://redis:6379/")
