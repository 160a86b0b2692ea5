"""Which Druid the commands of `gateway ingest` use, and with which credentials."""

import base64

import pytest

from gateway.ingest.command import urls
from tests.unit.ingest.stand_in import StandIn
from tests.unit.ingest.test_command import SECRET, SPEC, run


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"GATEWAY_DRUID_USERNAME": "operator"}, "belong together"),
        ({"GATEWAY_DRUID_CA_FILE": "/nowhere"}, "GATEWAY_DRUID_CA_FILE: cannot read the file"),
        (
            {"GATEWAY_DRUID_USERNAME": "operator", "GATEWAY_DRUID_PASSWORD": SECRET},
            "differ from the credentials in a URL of Druid",
        ),
    ],
)
def test_unusable_credentials_end_in_a_sentence(variables: dict[str, str], words: str, druid: StandIn) -> None:
    overlord = f"http://other:{SECRET}@{druid.netloc}"
    code, output = run(druid, "list", DRUID_OVERLORD_URL=overlord, **variables)
    assert code == 2
    assert words in " ".join(output.split())
    assert SECRET not in output
    assert druid.requests == []


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({"GATEWAY_DRUID_COORDINATOR_URL": "druid, http://127.0.0.1:1"}, []),
        ({"GATEWAY_DRUID_COORDINATOR_URL": "http://127.0.0.1:1", "DRUID_COORDINATOR_URL": "druid"}, []),
        ({"GATEWAY_DRUID_COORDINATOR_URL": "http://127.0.0.1:1"}, ["--overlord", "druid"]),
    ],
)
def test_the_overlord_is_that_of_an_option_a_variable_or_the_gateways_coordinator(
    variables: dict[str, str], options: list[str], druid: StandIn
) -> None:
    druid.status, druid.body = 200, b"[]"
    given = {name: value.replace("druid", druid.url) for name, value in variables.items()}
    arguments = [each.replace("druid", druid.url) for each in options]
    code, output = run(druid, "list", *arguments, **{"DRUID_OVERLORD_URL": "", **given})
    assert (code, len(druid.requests)) == (0, 1), output


def test_the_broker_and_the_coordinator_are_those_of_the_gateway_unless_others_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def found(*options: str | None) -> list[str]:
        return [str(each) for each in (urls(*options).overlord, urls(*options).broker, urls(*options).coordinator)]

    assert found(None) == ["http://127.0.0.1:8081/", "http://127.0.0.1:8082/", "http://127.0.0.1:8081/"]
    monkeypatch.setenv("GATEWAY_DRUID_BROKER_URL", "http://b1,http://b2")
    monkeypatch.setenv("GATEWAY_DRUID_COORDINATOR_URL", "http://c1,http://c2")
    assert found(None) == ["http://c1/", "http://b1/", "http://c1/"]
    assert found("http://o") == ["http://o/", "http://b1/", "http://o/"]
    assert found(None, "http://b", "http://c") == ["http://c1/", "http://b/", "http://c/"]


def test_the_gateways_credentials_are_sent_to_the_overlord(druid: StandIn) -> None:
    druid.status, druid.body = 200, b"[]"
    code, _ = run(druid, "list", GATEWAY_DRUID_USERNAME="operator", GATEWAY_DRUID_PASSWORD=SECRET)
    assert code == 0
    [(_, _, authorization)] = druid.requests
    assert authorization is not None
    assert base64.b64decode(authorization.removeprefix("Basic ")).decode() == f"operator:{SECRET}"


@pytest.mark.parametrize("service", ["overlord", "broker", "coordinator"])
def test_a_wrong_url_is_named_by_its_option_and_variable(service: str, druid: StandIn) -> None:
    code, output = run(druid, SPEC, f"--{service}", f"admin:{SECRET}@nowhere")
    assert code == 2
    assert output.startswith(f"The URL of --{service} or DRUID_{service.upper()}_URL is not valid: give a URL such as")
    assert SECRET not in output
