"""The availability zone that an Internal load balancer was created with."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("load_balancers", sa.Column("az", sa.String(length=64), nullable=True))
