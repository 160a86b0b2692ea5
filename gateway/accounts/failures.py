"""Failures of the account database, as one sentence for an operator."""

import ssl
from typing import Final

from alembic.util import CommandError
from asyncpg import InterfaceError, PostgresError  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

FAILURES: Final = (SQLAlchemyError, CommandError, PostgresError, InterfaceError, OSError, TimeoutError, UnicodeError)
"""Every exception that means that the database cannot be used."""


def reason(error: BaseException) -> str:
    """Return the driver's message in one line, without SQLAlchemy's additions and without statements' values."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        # SQLAlchemy wraps asyncpg's exceptions twice.
        return reason(error.orig.__cause__ or error.orig)
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted ({error.verify_message}). For a private CA add "
            "?sslmode=verify-full&sslrootcert=/path/to/ca.pem to the URL"
        )
    if isinstance(error, UnicodeError):
        return "its address is not valid"
    if isinstance(error, TimeoutError) and not str(error):
        return "it does not respond"
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
