"""API tokens of users."""

from datetime import UTC, datetime
from typing import Final

from pydantic import TypeAdapter
from sqlalchemy import select

from gateway.accounts import api_tokens
from gateway.accounts.administration.changes import Changes, Rejected, encodable, parsed
from gateway.accounts.administration.users import Users
from gateway.accounts.records import Name, NewToken, Token
from gateway.accounts.tables import tokens, users

_NAME: Final = TypeAdapter[str](Name)
_ALL: Final = select(
    tokens.c.prefix,
    tokens.c.user_id,
    users.c.email,
    tokens.c.name,
    tokens.c.created_at,
    tokens.c.expires_at,
    tokens.c.revoked_at,
    tokens.c.last_used_at,
).join(users, users.c.id == tokens.c.user_id)


class Tokens:
    """See `Administration`."""

    def __init__(self, changes: Changes, users: Users, secret: bytes) -> None:
        self._changes = changes
        self._users = users
        self._secret = secret

    async def all(self, user: str | None = None) -> list[Token]:
        """Return all tokens, or those of one user, newest first, including expired and revoked ones."""
        statement = _ALL.order_by(tokens.c.created_at.desc(), tokens.c.prefix)
        if user is not None:
            statement = statement.where(tokens.c.user_id == (await self._users.get(user)).id)
        return [Token.model_validate(row._asdict()) for row in await self._changes.rows(statement)]

    async def create(self, user: str, name: str, expires_at: datetime | None = None) -> NewToken:
        """Create a token and return it with its text, which is not stored."""
        owner = await self._users.get(user)
        now = datetime.now(UTC)
        if expires_at is not None and expires_at <= now:
            raise Rejected("The token would have expired already: choose a time in the future.")
        new = api_tokens.generate()
        row = {
            "prefix": new.prefix,
            "user_id": owner.id,
            "name": parsed(_NAME, name),
            "created_at": now,
            "expires_at": expires_at,
        }
        await self._changes.insert(
            tokens,
            {**row, "digest": api_tokens.digest(new, self._secret)},
            taken="Another token happens to have this prefix: try again.",
        )
        return NewToken.model_validate({**row, "email": owner.email, "text": new.text})

    async def replace(self, user: str, name: str, expires_at: datetime | None = None) -> NewToken:
        """Create a token and revoke those of the same user and name."""
        for token in await self.all(user):
            if token.name == name:
                await self.revoke(token.prefix)
        return await self.create(user, name, expires_at)

    async def revoke(self, prefix: str) -> Token:
        """Revoke the token with this public prefix. Repeating it keeps the time of the first revocation."""
        for row in await self._changes.rows(_ALL.where(tokens.c.prefix == encodable(prefix))):
            token = Token.model_validate(row._asdict())
            if token.revoked_at is not None:
                return token
            now = datetime.now(UTC)
            await self._changes.update(tokens, {"prefix": prefix}, {"revoked_at": now})
            return token.model_copy(update={"revoked_at": now})
        raise Rejected(f"No token {prefix!r} exists.")
