"""Runs the migrations over the connection that gateway/accounts/schema.py passes in."""

from alembic import context

from gateway.accounts.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
