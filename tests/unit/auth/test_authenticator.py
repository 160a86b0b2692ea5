"""API tokens over both databases: authentication, how soon a change takes effect, and outages."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from gateway.accounts.administration import Administration
from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import TTL, Accounts
from gateway.auth.authenticator import Authenticator
from gateway.catalog.id_format import UUID
from gateway.errors import AccountsUnavailable, Forbidden, GatewayError, NotFound, Unauthenticated
from gateway.tenancy.organization_id import OrganizationId
from gateway.tenancy.tenant import Standing, authorize

OWN = OrganizationId("b0a1d32b-e82c-11e4-b081-6c4008adf7e8")
PARTNER = "5f1c3a60-0000-4000-8000-00000000000b"
FORMER = "5f1c3a60-0000-4000-8000-00000000000c"
STRANGER = OrganizationId("5f1c3a60-0000-4000-8000-00000000000d")
CLOSED = "5f1c3a60-0000-4000-8000-00000000000e"
UNKNOWN = "5f1c3a60-0000-4000-8000-00000000000f"
ANN = "ann@example.com"


@dataclass(frozen=True, slots=True)
class World:
    """An account database with one account of each kind, and the tokens by name."""

    accounts: Accounts
    authenticator: Authenticator
    tokens: dict[str, str]

    def header(self, name: str) -> list[str]:
        return [f"Token {self.tokens[name]}"]


async def _fill(administration: Administration) -> dict[str, str]:
    for organization_id in (OWN, PARTNER, FORMER, STRANGER, CLOSED):
        await administration.organizations.ensure(organization_id, organization_id)
    await administration.partnerships.create(OWN, PARTNER)
    await administration.partnerships.create(OWN, CLOSED)
    await administration.partnerships.create(OWN, FORMER, active=False)
    await administration.partnerships.create(STRANGER, OWN)
    await administration.users.create(ANN, OWN, ["reports"])
    await administration.users.create("powerless@example.com", OWN)
    await administration.users.create("gone@example.com", OWN, ["reports"], active=False)
    await administration.users.create("closed@example.com", CLOSED, ["reports"])
    tokens = {}
    for name, user in (
        ("valid", ANN), ("revoked", ANN), ("powerless", "powerless@example.com"),
        ("of a deactivated user", "gone@example.com"), ("of a deactivated organization", "closed@example.com"),
    ):  # fmt: skip
        tokens[name] = (await administration.tokens.create(user, name)).text
    expiry = datetime.now(UTC) + timedelta(hours=1)
    tokens["expired"] = (await administration.tokens.create(ANN, "expired", expiry)).text
    await administration.tokens.revoke(tokens["revoked"][4:12])
    await administration.organizations.set_active(CLOSED, active=False)
    tokens["with a wrong secret"] = tokens["valid"][:-2] + ("AA" if tokens["valid"][-2:] != "AA" else "BB")
    tokens["never made"] = "gwt_aaaaaaaa_" + "A" * 43
    return tokens


@pytest.fixture
async def world(accounts: Accounts) -> AsyncIterator[World]:
    async with accounts.administration() as administration:
        tokens = await _fill(administration)
    # Two hours later one of the tokens has expired.
    async with Authenticator(None, accounts, clock=lambda: time.time() + 7200) as authenticator:
        yield World(accounts, authenticator, tokens)


OUTCOMES: dict[str, dict[str, type[GatewayError] | tuple[str, str | None]]] = {
    "valid": {
        OWN: (OWN, None), OWN.upper(): (OWN, None), PARTNER: (OWN, PARTNER), FORMER: Forbidden,
        STRANGER: Forbidden, CLOSED: NotFound, UNKNOWN: NotFound, "nonsense": NotFound,
    },
    "powerless": {
        OWN: Forbidden, OWN.upper(): Forbidden, PARTNER: Forbidden, FORMER: Forbidden, STRANGER: Forbidden,
        CLOSED: NotFound, UNKNOWN: NotFound, "nonsense": NotFound,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "valid", "powerless", "revoked", "expired", "of a deactivated user", "of a deactivated organization",
        "with a wrong secret", "never made",
    ],
)  # fmt: skip
async def test_each_token_with_each_organization(world: World, name: str) -> None:
    """Twice: the cached result equals that of the database."""
    for _ in range(2):
        if name not in OUTCOMES:
            with pytest.raises(Unauthenticated, match=r"^The token is not valid\.$") as refused:
                await world.authenticator.authenticate(world.header(name))
            assert refused.value.headers["WWW-Authenticate"].startswith("Token")
            continue
        principal = await world.authenticator.authenticate(world.header(name))
        assert principal.organization_id == OWN
        assert principal.credential == world.tokens[name][4:12]
        for organization_id, outcome in OUTCOMES[name].items():
            if isinstance(outcome, tuple):
                tenant = await authorize(principal, organization_id, UUID, world.accounts)
                assert (tenant.owner_organization_id, tenant.involved_organization_id) == outcome
            else:
                with pytest.raises(outcome):
                    await authorize(principal, organization_id, UUID, world.accounts)


async def test_a_partnership_goes_one_way(world: World) -> None:
    assert await world.accounts.standing(STRANGER, OWN) is Standing.PARTNER
    assert await world.accounts.standing(OWN, STRANGER) is Standing.STRANGER


async def test_a_bearer_token_is_rejected_without_a_provider(world: World) -> None:
    with pytest.raises(Unauthenticated):
        await world.authenticator.authenticate(["Bearer a.b.c"])


async def test_every_token_is_rejected_under_another_token_secret(world: World, settings: AccountSettings) -> None:
    other = settings.model_copy(update={"token_secret": SecretStr("another secret of 32 characters.")})
    async with Accounts(other) as accounts, Authenticator(None, accounts) as authenticator:
        with pytest.raises(Unauthenticated):
            await authenticator.authenticate(world.header("valid"))


Change = Callable[[Administration, dict[str, str]], Awaitable[Any]]

CHANGES: tuple[tuple[Change, type[GatewayError]], ...] = (
    (lambda admin, of: admin.tokens.revoke(of["token"][4:12]), Unauthenticated),
    (lambda admin, of: admin.users.set_active(of["user"], active=False), Unauthenticated),
    (lambda admin, of: admin.organizations.set_active(of["organization"], active=False), Unauthenticated),
    (lambda admin, of: admin.users.withdraw(of["user"], "reports"), Forbidden),
    (lambda admin, of: admin.partnerships.set_active(of["organization"], of["partner"], active=False), Forbidden),
    (lambda admin, of: admin.organizations.set_active(of["partner"], active=False), NotFound),
)


async def test_a_revocation_takes_effect_within_five_seconds_in_other_processes(
    settings: AccountSettings, accounts: Accounts
) -> None:
    """Each change applies to accounts of its own and is made through another store, as another process would."""

    async def taken_away(change: Change, error: type[GatewayError]) -> float:
        async with elsewhere.administration() as administration:
            organization = await administration.organizations.create("own")
            partner = await administration.organizations.create("partner")
            user = await administration.users.create(f"ann@{organization.id}", organization.id, ["reports"])
            await administration.partnerships.create(organization.id, partner.id)
            token = await administration.tokens.create(user.id, "x")

        async def ask() -> None:
            await authorize(await authenticator.authenticate([f"Token {token.text}"]), partner.id, UUID, accounts)

        await ask()
        async with elsewhere.administration() as administration:
            of = {
                "token": token.text, "user": user.id, "organization": organization.id, "partner": partner.id
            }  # fmt: skip
            await change(administration, of)
        changed = time.monotonic()
        while time.monotonic() < changed + 6:
            try:
                await ask()
            except error:
                break
            await asyncio.sleep(0.02)
        return time.monotonic() - changed

    async with Accounts(settings) as elsewhere, Authenticator(None, accounts) as authenticator:
        took = await asyncio.gather(*(taken_away(change, error) for change, error in CHANGES))
    assert max(took) < 5, took


async def test_a_cached_token_expires_on_time(world: World) -> None:
    now = time.time()
    authenticator = Authenticator(None, world.accounts, clock=lambda: now)
    async with world.accounts.administration() as administration:
        token = await administration.tokens.create(ANN, "short", datetime.fromtimestamp(now + 60, UTC))
    header = [f"Token {token.text}"]
    now += 59
    await authenticator.authenticate(header)
    now += 1.001
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(header)


async def test_the_last_use_of_accepted_tokens_only_is_recorded(world: World) -> None:
    await world.authenticator.authenticate(world.header("valid"))
    with pytest.raises(Unauthenticated):
        await world.authenticator.authenticate(world.header("with a wrong secret"))
    await world.accounts.last_used.write()
    async with world.accounts.administration() as administration:
        used = {token.name for token in await administration.tokens.all() if token.last_used_at is not None}
    assert used == {"valid"}


async def test_a_failing_database_causes_503_for_everything_that_is_not_cached(world: World) -> None:
    principal = await world.authenticator.authenticate(world.header("valid"))
    await authorize(principal, PARTNER, UUID, world.accounts)
    async with world.accounts.engine.begin() as connection:
        for table in ("tokens", "partnerships"):
            await connection.execute(text(f"ALTER TABLE {table} RENAME TO {table}_away"))
    assert await world.authenticator.authenticate(world.header("valid")) == principal
    await authorize(principal, PARTNER, UUID, world.accounts)
    await authorize(principal, OWN, UUID, world.accounts)
    for name in ("powerless", "revoked", "never made"):
        with pytest.raises(AccountsUnavailable):
            await world.authenticator.authenticate(world.header(name))
    with pytest.raises(AccountsUnavailable):
        await authorize(principal, STRANGER, UUID, world.accounts)
    await asyncio.sleep(TTL)
    with pytest.raises(AccountsUnavailable):
        await world.authenticator.authenticate(world.header("valid"))
    async with world.accounts.engine.begin() as connection:
        for table in ("tokens", "partnerships"):
            await connection.execute(text(f"ALTER TABLE {table}_away RENAME TO {table}"))
    assert await world.authenticator.authenticate(world.header("valid")) == principal


async def test_authentication_from_the_cache_takes_tens_of_microseconds(world: World) -> None:
    header = world.header("valid")
    await world.authenticator.authenticate(header)
    best = float("inf")
    for _ in range(20):
        begun = time.perf_counter()
        for _ in range(100):
            await world.authenticator.authenticate(header)
        best = min(best, (time.perf_counter() - begun) / 100)
    assert best < 100e-6
