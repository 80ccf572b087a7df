"""Who may do what only one process may do; on PostgreSQL, texts in the order of their code points.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    "alert_revisions",
    "alerts",
    "audit",
    "corrections",
    "incidents",
    "leases",
    "outbox",
    "plan_runs",
    "seen",
    "signals",
    "silences",
    "source_runs",
    "states",
    "tasks",
    "timeline",
)


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    inspector = sa.inspect(connection)
    for table in TABLES:
        for column in inspector.get_columns(table):
            if isinstance(column["type"], sa.TEXT):
                op.alter_column(table, column["name"], type_=sa.Text(collation="C"))


def downgrade() -> None:
    op.drop_table("leases")
