"""Organizations, users, API tokens and partnerships.

A migration repeats the tables' definitions on purpose: it must not change when tables.py does.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
# The revisions of a database that a release works with if this is its newest migration: this one, and the next one,
# which may only add tables, columns and indexes (expand, then contract: docs/operations.md).
accepts = frozenset({"0001", "0002"})


def upgrade() -> None:
    time = sa.DateTime(timezone=True)
    op.create_table(
        "organizations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("subject", sa.String(255)),
        sa.Column("permissions", sa.JSON, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_users_organization_id"),
        sa.UniqueConstraint("email", name="uq_users_email"),
        sa.UniqueConstraint("subject", name="uq_users_subject"),
    )
    op.create_index("ix_users_organization_id", "users", ["organization_id"])
    op.create_table(
        "tokens",
        sa.Column("prefix", sa.String(8), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.Column("expires_at", time),
        sa.Column("revoked_at", time),
        sa.Column("last_used_at", time),
        sa.PrimaryKeyConstraint("prefix", name="pk_tokens"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tokens_user_id"),
    )
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])
    op.create_table(
        "partnerships",
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("partner_id", sa.String(36), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", time, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "partner_id", name="pk_partnerships"),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name="fk_partnerships_organization_id"),
        sa.ForeignKeyConstraint(["partner_id"], ["organizations.id"], name="fk_partnerships_partner_id"),
        sa.CheckConstraint("organization_id <> partner_id", name="ck_partnerships_not_of_itself"),
    )
    op.create_index("ix_partnerships_partner_id", "partnerships", ["partner_id"])
