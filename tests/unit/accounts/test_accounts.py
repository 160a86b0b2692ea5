"""The account database, on SQLite and on PostgreSQL."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from gateway.accounts import schema, tables
from gateway.accounts.administration import Rejected
from gateway.accounts.schema import DatabaseNotReady
from gateway.accounts.settings import AccountSettings
from gateway.accounts.store import Accounts

A = "b0a1d32b-e82c-11e4-b081-6c4008adf7e8"
B = "5f1c3a60-0000-4000-8000-00000000000b"


async def test_migrations_create_exactly_the_tables_that_the_code_uses(accounts: Accounts) -> None:
    async with accounts.engine.connect() as connection:
        difference = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True}), tables.metadata
            )
        )
    assert difference == []


async def test_migrating_again_changes_nothing(accounts: Accounts) -> None:
    assert await accounts.migrate() == await accounts.migrate()
    await accounts.check_schema()


async def test_concurrent_migrations_create_the_tables_once(settings: AccountSettings) -> None:
    async def one() -> str:
        async with Accounts(settings) as accounts:
            return await accounts.migrate()

    assert len(set(await asyncio.gather(*(one() for _ in range(4))))) == 1


async def test_an_empty_database_is_rejected_with_the_remedy(settings: AccountSettings) -> None:
    async with Accounts(settings) as accounts:
        with pytest.raises(DatabaseNotReady, match="run 'gateway accounts migrate'"):
            await accounts.check_schema()


async def _set_revision(accounts: Accounts, revision: str) -> None:
    async with accounts.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": revision})


@pytest.mark.parametrize("revision", ["0000", "9999"])
async def test_a_schema_of_a_distant_release_is_rejected(accounts: Accounts, revision: str) -> None:
    await _set_revision(accounts, revision)
    with pytest.raises(DatabaseNotReady, match=f"at revision {revision}, which is too new"):
        await accounts.check_schema()
    with pytest.raises(DatabaseNotReady, match=f"at revision {revision}"):
        await accounts.migrate()


async def test_a_release_runs_on_the_schema_of_the_next_one(accounts: Accounts) -> None:
    """A rolling update migrates first, while processes of this release are still running."""
    newest = int(schema._newest().revision)
    following = f"{newest + 1:04}"
    await _set_revision(accounts, following)
    await accounts.check_schema()
    assert await accounts.migrate() == following
    async with accounts.administration() as administration:
        await administration.organizations.create("A", A)
        assert len(await administration.organizations.all()) == 1


def test_each_migration_accepts_its_own_revision_and_the_next() -> None:
    for script in ScriptDirectory.from_config(schema._config()).walk_revisions():
        assert {script.revision, f"{int(script.revision) + 1:04}"} <= script.module.accepts


async def test_ensure_creates_once_and_then_updates(accounts: Accounts) -> None:
    for name, granted, active in (("first", ["reports"], False), ("second", [], True)):
        async with accounts.administration() as administration:
            await administration.organizations.ensure(A.upper(), name, active=active)
            await administration.organizations.ensure(B, "B")
            await administration.users.ensure("Ann@Example.com", A, granted, subject=name, active=active)
            await administration.partnerships.ensure(A, B, active=active)
    async with accounts.administration() as administration:
        organizations = {str(each.id): each for each in await administration.organizations.all()}
        assert (organizations[A].name, organizations[A].active, len(organizations)) == ("second", True, 2)
        (user,) = await administration.users.all(A)
        assert (user.email, user.permissions, user.subject, user.active) == (
            "ann@example.com",
            frozenset(),
            "second",
            True,
        )
        (partnership,) = await administration.partnerships.all(A)
        assert partnership.active
        assert await administration.partnerships.all(B) == []


async def test_create_rejects_existing_accounts_and_keeps_the_transaction_usable(accounts: Accounts) -> None:
    async with accounts.administration() as administration:
        await administration.organizations.create("A", A)
        await administration.organizations.create("B", B)
        await administration.users.create("ann@example.com", A, subject="ann")
        await administration.partnerships.create(A, B)
        with pytest.raises(Rejected, match="already exists"):
            await administration.organizations.create("A", A)
        with pytest.raises(Rejected, match="Another user has this"):
            await administration.users.create("ANN@example.com", B)
        with pytest.raises(Rejected, match="Another user has this"):
            await administration.users.create("bob@example.com", B, subject="ann")
        with pytest.raises(Rejected, match="already has a partnership"):
            await administration.partnerships.create(A, B)
        await administration.users.create("bob@example.com", B)
    async with accounts.administration() as administration:
        assert [user.email for user in await administration.users.all()] == ["ann@example.com", "bob@example.com"]


async def test_impossible_changes_are_rejected_with_a_sentence(accounts: Accounts) -> None:
    async with accounts.administration() as administration:
        await administration.organizations.create("A", A)
        await administration.organizations.create("B", B)
        await administration.users.create("ann@example.com", A)
        for refused, sentence in (
            (administration.organizations.create("A", f"{{{A}}}"), "not an organization's id"),
            (administration.organizations.create(""), "at least 1 character"),
            (administration.organizations.get(str(uuid.uuid4())), "No organization"),
            (administration.users.create("no-address", A), "not an e-mail address"),
            (administration.users.create("c@d.e", str(uuid.uuid4())), "No organization"),
            (
                administration.users.create("c@d.e", A, ["everything"]),
                "the permissions are: reports",
            ),
            (administration.users.ensure("ann@example.com", B), "cannot be moved"),
            (administration.users.grant("ann@example.com", "everything"), "^'everything': no such permission"),
            (administration.users.set_active("c@d.e", active=False), "No user 'c@d.e' exists"),
            (administration.partnerships.create(A, A), "no partnership with itself"),
            (administration.partnerships.set_active(A, B, active=False), "has no partnership"),
            (administration.tokens.create("c@d.e", "x"), "No user"),
            (
                administration.tokens.create("ann@example.com", "x", datetime.now(UTC) - timedelta(seconds=1)),
                "expired already",
            ),
            (administration.tokens.revoke("abcdefgh"), "No token"),
        ):
            with pytest.raises(Rejected, match=sentence):
                await refused


async def test_an_error_rolls_back_the_whole_transaction(accounts: Accounts) -> None:
    async def half() -> None:
        async with accounts.administration() as administration:
            await administration.organizations.create("A", A)
            await administration.users.create("no-address", A)

    with pytest.raises(Rejected):
        await half()
    async with accounts.administration() as administration:
        assert await administration.organizations.all() == []


async def test_the_database_rejects_rows_without_their_organization(accounts: Accounts) -> None:
    statement = tables.partnerships.insert().values(
        organization_id=A, partner_id=B, active=True, created_at=datetime.now(UTC)
    )
    with pytest.raises(IntegrityError):
        async with accounts.engine.begin() as connection:
            await connection.execute(statement)


async def test_a_token_is_stored_only_as_a_keyed_hash(accounts: Accounts) -> None:
    async with accounts.administration() as administration:
        await administration.organizations.create("A", A)
        await administration.users.create("ann@example.com", A)
        token = await administration.tokens.create("ann@example.com", "dashboard")
    async with accounts.engine.connect() as connection:
        (row,) = (await connection.execute(select(tables.tokens))).all()
    secret = token.text.split("_", 2)[2]
    assert len(row.digest) == 32
    assert secret not in repr(row)
    assert secret not in repr(token)


async def test_times_are_returned_unchanged_and_with_an_offset(accounts: Accounts) -> None:
    expires_at = datetime(2999, 3, 28, 12, 30, 15, 123456, tzinfo=UTC)
    async with accounts.administration() as administration:
        await administration.organizations.create("A", A)
        await administration.users.create("ann@example.com", A)
        made = await administration.tokens.create("ann@example.com", "dashboard", expires_at)
        (kept,) = await administration.tokens.all("ann@example.com")
    assert kept.expires_at == expires_at
    assert kept.created_at == made.created_at
    assert kept.created_at.tzinfo is not None


async def test_replacing_a_token_revokes_only_those_of_the_same_name(accounts: Accounts) -> None:
    async with accounts.administration() as administration:
        await administration.organizations.create("A", A)
        await administration.users.create("ann@example.com", A)
        other = await administration.tokens.create("ann@example.com", "other")
        first = await administration.tokens.replace("ann@example.com", "demo")
        second = await administration.tokens.replace("ann@example.com", "demo")
        kept = {token.prefix: token.revoked_at is None for token in await administration.tokens.all()}
        assert kept == {other.prefix: True, first.prefix: False, second.prefix: True}
        revoked = await administration.tokens.revoke(first.prefix)
        assert revoked == await administration.tokens.revoke(first.prefix)


async def test_the_last_use_is_written_and_never_decreases(accounts: Accounts) -> None:
    async with accounts.administration() as administration:
        await administration.organizations.create("A", A)
        await administration.users.create("ann@example.com", A)
        token = await administration.tokens.create("ann@example.com", "x")
    for noted, expected in ((1_000_000.0, 1_000_000), (2_000_000.0, 2_000_000), (1_500_000.0, 2_000_000)):
        accounts.last_used.note(token.prefix, noted)
        await accounts.last_used.write()
        async with accounts.administration() as administration:
            (kept,) = await administration.tokens.all()
        assert kept.last_used_at == datetime.fromtimestamp(expected, UTC)


async def test_last_uses_are_written_when_the_database_is_closed(settings: AccountSettings) -> None:
    async with Accounts(settings) as accounts:
        await accounts.migrate()
        async with accounts.administration() as administration:
            await administration.organizations.create("A", A)
            await administration.users.create("ann@example.com", A)
            token = await administration.tokens.create("ann@example.com", "x")
        accounts.last_used.note(token.prefix, 1_000_000.0)
    async with Accounts(settings) as accounts, accounts.administration() as administration:
        (kept,) = await administration.tokens.all()
    assert kept.last_used_at == datetime.fromtimestamp(1_000_000, UTC)


async def test_a_failing_write_of_last_uses_is_only_logged(accounts: Accounts) -> None:
    async with accounts.engine.begin() as connection:
        await connection.execute(text("DROP TABLE tokens"))
    accounts.last_used.note("abcdefgh", 1.0)
    await accounts.last_used.write()
