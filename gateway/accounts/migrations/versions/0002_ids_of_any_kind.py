"""Ids of organizations are texts of up to 128 characters, no longer UUIDs only.

The previous release works with the wider columns, too. SQLite does not enforce lengths: its tables stay as they are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
accepts = frozenset({"0002", "0003"})


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    wider = sa.String(128)
    op.alter_column("organizations", "id", type_=wider)
    op.alter_column("users", "organization_id", type_=wider)
    op.alter_column("partnerships", "organization_id", type_=wider)
    op.alter_column("partnerships", "partner_id", type_=wider)
