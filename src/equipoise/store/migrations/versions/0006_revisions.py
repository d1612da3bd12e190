"""What several services on one database need: one order of changes, sessions of nodes, and who rejected what.

Only adds, so that a service of 0.2.0 can still write. It raises no revision, so services of this version learn nothing
of its changes: those that share a database are all stopped before this upgrade.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    revisions = op.create_table(
        "revisions",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revisions")),
    )
    op.bulk_insert(revisions, [{"id": 1, "value": 0}])
    for table, column in (
        ("load_balancers", "revision"),
        ("jobs", "revision"),
        ("nodes", "session"),
        ("nodes", "lease_until"),
    ):
        op.add_column(table, sa.Column(column, sa.BigInteger(), server_default="0", nullable=False))
    op.create_index(op.f("ix_load_balancers_revision"), "load_balancers", ["revision"], unique=False)
    ended = sa.text("end_time IS NOT NULL")
    op.create_index(
        "ix_jobs_ended_revision", "jobs", ["revision"], unique=False, sqlite_where=ended, postgresql_where=ended
    )
    op.create_table(
        "services",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
    )
    op.create_table(
        "rejections",
        sa.Column("load_balancer_id", sa.String(length=32), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["load_balancers.id"], name=op.f("fk_rejections_load_balancer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_rejections_node_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("load_balancer_id", "node_id", name=op.f("pk_rejections")),
    )
    op.create_index(op.f("ix_rejections_node_id"), "rejections", ["node_id"], unique=False)
