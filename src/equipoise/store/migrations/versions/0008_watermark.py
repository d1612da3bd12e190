"""What a node has in force is one number for each node, in place of a row for each node and load balancer.

Nodes confirm everything anew. So that the number of a node rises with what it confirms, each load balancer gets a
revision of its own here: those from before revisions all have 0.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        "UPDATE load_balancers SET revision = ranked.number + (SELECT value FROM revisions) "
        "FROM (SELECT id, row_number() OVER (ORDER BY revision, id) AS number FROM load_balancers) AS ranked "
        "WHERE ranked.id = load_balancers.id"
    )
    op.execute("UPDATE revisions SET value = value + (SELECT count(*) FROM load_balancers)")
    op.add_column("jobs", sa.Column("accepted_revision", sa.BigInteger(), server_default="0", nullable=False))
    # Of several jobs of a load balancer all end together: which one is in force without the others is not known.
    op.execute(
        "UPDATE jobs SET accepted_revision = load_balancers.revision FROM load_balancers "
        "WHERE load_balancers.id = jobs.load_balancer_id AND jobs.end_time IS NULL"
    )
    op.drop_index("ix_jobs_ended", "jobs")
    op.create_index("ix_jobs_ended", "jobs", ["end_time", "accepted_revision"], unique=False)
    op.add_column("nodes", sa.Column("in_force", sa.BigInteger(), server_default="-1", nullable=False))
    op.create_table(
        "lagging",
        sa.Column("load_balancer_id", sa.String(length=32), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["load_balancers.id"], name=op.f("fk_lagging_load_balancer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_lagging_node_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("load_balancer_id", "node_id", name=op.f("pk_lagging")),
    )
    op.drop_table("observations")
