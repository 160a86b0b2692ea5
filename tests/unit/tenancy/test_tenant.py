import copy
import dataclasses
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalog.id_format import INTEGER, UUID, id_format
from gateway.errors import Forbidden, GatewayError, NotFound
from gateway.tenancy.organization_id import OrganizationId, parse_organization_id
from gateway.tenancy.principal import Principal
from gateway.tenancy.tenant import Standing, Tenant, authorize

OWN = OrganizationId("b0a1d32b-e82c-11e4-b081-6c4008adf7e8")
OTHER = OrganizationId("5f1c3a60-0000-4000-8000-00000000000b")
ANN = Principal("5f1c3a60-0000-4000-8000-0000000000aa", OWN, frozenset({"reports"}), "abcdefgh")
POWERLESS = dataclasses.replace(ANN, permissions=frozenset())


class Answers:
    """Gives the same standing to every organization, and records the lookups."""

    def __init__(self, standing: Standing) -> None:
        self.standing_of_all = standing
        self.asked: list[tuple[str, str]] = []

    async def standing(self, organization_id: str, other_id: str) -> Standing:
        self.asked.append((organization_id, other_id))
        return self.standing_of_all


async def test_callers_see_the_rows_of_their_own_organization() -> None:
    tenant = await authorize(ANN, OWN, UUID, Answers(Standing.ABSENT))
    assert (tenant.owner_organization_id, tenant.involved_organization_id) == (OWN, None)


async def test_callers_see_the_rows_in_which_a_partner_was_involved() -> None:
    answers = Answers(Standing.PARTNER)
    tenant = await authorize(ANN, OTHER, UUID, answers)
    assert (tenant.owner_organization_id, tenant.involved_organization_id) == (OWN, OTHER)
    assert answers.asked == [(OWN, OTHER)]


async def test_upper_case_is_the_same_organization() -> None:
    assert (await authorize(ANN, OWN.upper(), UUID, Answers(Standing.ABSENT))).involved_organization_id is None
    assert (await authorize(ANN, OTHER.upper(), UUID, Answers(Standing.PARTNER))).involved_organization_id == OTHER


@pytest.mark.parametrize(
    ("principal", "organization_id", "standing", "error"),
    [
        (ANN, OTHER, Standing.ABSENT, NotFound),
        (ANN, OTHER, Standing.STRANGER, Forbidden),
        (POWERLESS, OWN, Standing.STRANGER, Forbidden),
        (POWERLESS, OTHER, Standing.PARTNER, Forbidden),
        (POWERLESS, OTHER, Standing.STRANGER, Forbidden),
        (POWERLESS, OTHER, Standing.ABSENT, NotFound),
    ],
)
async def test_callers_without_access_are_rejected(
    principal: Principal, organization_id: str, standing: Standing, error: type[GatewayError]
) -> None:
    with pytest.raises(error):
        await authorize(principal, organization_id, UUID, Answers(standing))


@pytest.mark.parametrize(
    "organization_id",
    [
        "", "x", OWN.replace("-", ""), f"{{{OWN}}}", f"urn:uuid:{OWN}", f"{OWN} ", f"{OWN}\n", OWN[:-1], f"{OWN}0",
        OWN.replace("b", "\uff42"), OWN.replace("1", "\u0661"), OWN.replace("-", "\u2013"), "' OR 1=1 --",
        "\x00", "\ud800",
    ],
)  # fmt: skip
async def test_a_malformed_id_is_an_unknown_organization_without_a_database_lookup(organization_id: str) -> None:
    answers = Answers(Standing.PARTNER)
    with pytest.raises(NotFound):
        await authorize(ANN, organization_id, UUID, answers)
    assert answers.asked == []


@given(st.text(max_size=40))
async def test_only_uuids_reach_the_database(text: str) -> None:
    with pytest.raises(NotFound):
        await authorize(ANN, text, UUID, Answers(Standing.PARTNER))


async def test_an_id_has_the_form_of_the_data_set() -> None:
    """Druid reads 007, +7 and 7.0 as 7, so that none of them may reach it as the id of another organization."""
    seven = dataclasses.replace(ANN, organization_id=OrganizationId("7"))
    assert (await authorize(seven, "7", INTEGER, Answers(Standing.ABSENT))).owner_organization_id == "7"
    for path in ("007", "07", "7.0", "0", "-7", "7e0", "9223372036854775808", OWN, "seven"):
        answers = Answers(Standing.PARTNER)
        with pytest.raises(NotFound):
            await authorize(seven, path, INTEGER, answers)
        assert answers.asked == []


async def test_an_organization_with_an_id_of_another_form_has_no_rows() -> None:
    with pytest.raises(Forbidden):
        await authorize(ANN, "7", INTEGER, Answers(Standing.PARTNER))
    with pytest.raises(NotFound):
        await authorize(ANN, OWN, INTEGER, Answers(Standing.PARTNER))


async def test_only_uuids_are_equal_in_upper_and_lower_case() -> None:
    words = id_format("[A-Za-z]+")
    acme = dataclasses.replace(ANN, organization_id=OrganizationId("acme"))
    tenant = await authorize(acme, "ACME", words, Answers(Standing.PARTNER))
    assert tenant.involved_organization_id == "ACME"


@pytest.mark.parametrize("text", ["7", "acme", "Acme-1.eu_x~y:z", "a" * 128, "00", OWN])
def test_ids_are_texts_of_a_simple_form(text: str) -> None:
    assert parse_organization_id(text) == text


@pytest.mark.parametrize(
    "text",
    ["", " 7", "7 ", "7\n", "a/b", "a?b", "..", "-7", "+7", "a" * 129, "ä", "\uff17", "a b", "a%b", "a'b", "\x00"],
)
def test_other_texts_are_no_ids(text: str) -> None:
    with pytest.raises(ValueError, match="not an organization's id"):
        parse_organization_id(text)


async def _tenant() -> Tenant:
    return await authorize(ANN, OWN, UUID, Answers(Standing.ABSENT))


def test_only_authorize_creates_a_tenant() -> None:
    # mypy rejects these as well; if it accepted one, the unused ignore would fail the type check.
    with pytest.raises(TypeError):
        Tenant(OWN, None)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="creates a Tenant"):
        Tenant(OWN, None, seal=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        type("Wider", (Tenant,), {})


async def test_a_tenant_cannot_be_changed_copied_or_unpickled() -> None:
    tenant = await _tenant()
    with pytest.raises(dataclasses.FrozenInstanceError):
        tenant.owner_organization_id = OTHER  # type: ignore[misc]
    with pytest.raises(TypeError):
        dataclasses.replace(tenant, owner_organization_id=OTHER)
    with pytest.raises(TypeError):
        tenant.__init__(OTHER, None, seal=object())  # type: ignore[arg-type]
    for revive in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            revive(tenant)
    empty: Any = Tenant.__new__(Tenant)
    with pytest.raises(TypeError):
        empty.__setstate__([OTHER, None])
    with pytest.raises(AttributeError):
        _ = empty.owner_organization_id
    assert tenant.owner_organization_id == OWN
    with pytest.raises((AttributeError, TypeError)):
        tenant.extra = 1  # type: ignore[attr-defined]


async def test_tenants_of_the_same_rows_are_equal_and_hashable() -> None:
    assert {await _tenant()} == {await _tenant()}
