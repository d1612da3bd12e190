"""The first schema: load balancers and all below them, addresses, jobs, nodes and observations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("resource_id", sa.String(length=32), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_create_time"), "idempotency_keys", ["create_time"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("parent_id", sa.String(length=32), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("job_type", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("load_balancer_id", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("entities", sa.JSON(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("failure", sa.String(length=64), nullable=True),
        sa.Column("fail_reason", sa.Text(), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=32), nullable=False),
        sa.Column("begin_time", sa.BigInteger(), nullable=False),
        sa.Column("running_time", sa.BigInteger(), nullable=True),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["jobs.id"], name=op.f("fk_jobs_parent_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_ended", "jobs", ["end_time"], unique=False)
    op.create_index("ix_jobs_of_project", "jobs", ["project_id", "begin_time", "id"], unique=False)
    op.create_index(
        "ix_jobs_parent_id",
        "jobs",
        ["parent_id"],
        unique=False,
        sqlite_where=sa.text("parent_id IS NOT NULL"),
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_unfinished",
        "jobs",
        ["load_balancer_id", "generation"],
        unique=False,
        sqlite_where=sa.text("end_time IS NULL"),
        postgresql_where=sa.text("end_time IS NULL"),
    )
    op.create_table(
        "load_balancers",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("vip_subnet_id", sa.String(length=64), nullable=True),
        sa.Column("vip_address", sa.String(length=15), nullable=False),
        sa.Column("security_group_id", sa.String(length=200), nullable=True),
        sa.Column("bandwidth", sa.Integer(), nullable=True),
        sa.Column("admin_state_up", sa.Integer(), nullable=False),
        sa.Column("charge_mode", sa.String(length=16), nullable=True),
        sa.Column("eip_type", sa.String(length=16), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("deleting", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_load_balancers")),
    )
    op.create_index(op.f("ix_load_balancers_project_id_id"), "load_balancers", ["project_id", "id"], unique=False)
    op.create_table(
        "nodes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
    )
    op.create_table(
        "addresses",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=15), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("load_balancer_id", sa.String(length=32), nullable=True),
        sa.Column("bandwidth", sa.Integer(), nullable=True),
        sa.Column("charge_mode", sa.String(length=16), nullable=True),
        sa.Column("eip_type", sa.String(length=16), nullable=True),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["load_balancers.id"], name=op.f("fk_addresses_load_balancer_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addresses")),
        sa.UniqueConstraint("address", name=op.f("uq_addresses_address")),
        sa.UniqueConstraint("load_balancer_id", name=op.f("uq_addresses_load_balancer_id")),
    )
    op.create_index(op.f("ix_addresses_project_id_id"), "addresses", ["project_id", "id"], unique=False)
    op.create_table(
        "certificates",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=128), nullable=False),
        sa.Column("domain", sa.String(length=254), nullable=False),
        sa.Column("content_id", sa.String(length=32), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificates")),
    )
    op.create_index(op.f("ix_certificates_project_id_id"), "certificates", ["project_id", "id"], unique=False)
    op.create_table(
        "certificate_contents",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("certificate_id", sa.String(length=32), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("private_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["certificate_id"],
            ["certificates.id"],
            name=op.f("fk_certificate_contents_certificate_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate_contents")),
    )
    op.create_index(
        op.f("ix_certificate_contents_certificate_id"), "certificate_contents", ["certificate_id"], unique=False
    )
    op.create_table(
        "listeners",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("load_balancer_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=128), nullable=False),
        sa.Column("protocol", sa.String(length=5), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("backend_protocol", sa.String(length=5), nullable=False),
        sa.Column("backend_port", sa.Integer(), nullable=False),
        sa.Column("lb_algorithm", sa.String(length=16), nullable=False),
        sa.Column("session_sticky", sa.Boolean(), nullable=False),
        sa.Column("sticky_session_type", sa.String(length=16), nullable=True),
        sa.Column("cookie_timeout", sa.Integer(), nullable=True),
        sa.Column("tcp_timeout", sa.Integer(), nullable=True),
        sa.Column("tcp_draining", sa.Boolean(), nullable=True),
        sa.Column("tcp_draining_timeout", sa.Integer(), nullable=True),
        sa.Column("udp_timeout", sa.Integer(), nullable=True),
        sa.Column("certificate_id", sa.String(length=32), nullable=True),
        sa.Column("ssl_protocols", sa.String(length=32), nullable=True),
        sa.Column("ssl_ciphers", sa.String(length=16), nullable=True),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("deleting", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["load_balancers.id"], name=op.f("fk_listeners_load_balancer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["certificate_id"], ["certificates.id"], name=op.f("fk_listeners_certificate_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listeners")),
    )
    op.create_index(op.f("ix_listeners_load_balancer_id"), "listeners", ["load_balancer_id"], unique=False)
    op.create_index(op.f("ix_listeners_project_id_id"), "listeners", ["project_id", "id"], unique=False)
    op.create_index(op.f("ix_listeners_certificate_id"), "listeners", ["certificate_id"], unique=False)
    op.create_table(
        "observations",
        sa.Column("load_balancer_id", sa.String(length=32), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"],
            ["load_balancers.id"],
            name=op.f("fk_observations_load_balancer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_observations_node_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("load_balancer_id", "node_id", name=op.f("pk_observations")),
    )
    op.create_table(
        "traffic",
        sa.Column("load_balancer_id", sa.String(length=32), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("act_conn", sa.BigInteger(), nullable=False),
        sa.Column("inact_conn", sa.BigInteger(), nullable=False),
        sa.Column("ncps", sa.BigInteger(), nullable=False),
        sa.Column("in_packets", sa.BigInteger(), nullable=False),
        sa.Column("out_packets", sa.BigInteger(), nullable=False),
        sa.Column("in_bytes", sa.BigInteger(), nullable=False),
        sa.Column("out_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("load_balancer_id", "node_id", name=op.f("pk_traffic")),
    )
    op.create_index(op.f("ix_traffic_node_id"), "traffic", ["node_id"], unique=False)
    op.create_table(
        "draining_members",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("listener_id", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=15), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["listener_id"], ["listeners.id"], name=op.f("fk_draining_members_listener_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draining_members")),
    )
    op.create_index(
        op.f("ix_draining_members_listener_id_address"), "draining_members", ["listener_id", "address"], unique=False
    )
    op.create_index(op.f("ix_draining_members_ends_at"), "draining_members", ["ends_at"], unique=False)
    op.create_table(
        "health_checks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("listener_id", sa.String(length=32), nullable=False),
        sa.Column("healthcheck_protocol", sa.String(length=4), nullable=False),
        sa.Column("healthcheck_uri", sa.String(length=80), nullable=True),
        sa.Column("healthcheck_connect_port", sa.Integer(), nullable=True),
        sa.Column("healthy_threshold", sa.Integer(), nullable=False),
        sa.Column("unhealthy_threshold", sa.Integer(), nullable=False),
        sa.Column("healthcheck_timeout", sa.Integer(), nullable=False),
        sa.Column("healthcheck_interval", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("deleting", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["listener_id"], ["listeners.id"], name=op.f("fk_health_checks_listener_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_checks")),
    )
    op.create_index(op.f("ix_health_checks_listener_id"), "health_checks", ["listener_id"], unique=False)
    op.create_table(
        "members",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("listener_id", sa.String(length=32), nullable=False),
        sa.Column("server_id", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=15), nullable=False),
        sa.Column("healthy", sa.Boolean(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("deleting", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["listener_id"], ["listeners.id"], name=op.f("fk_members_listener_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_listener_id_address"), "members", ["listener_id", "address"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["webhooks.project_id"],
            name=op.f("fk_webhook_deliveries_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_webhook_deliveries_job_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        op.f("ix_webhook_deliveries_project_id_next_time"),
        "webhook_deliveries",
        ["project_id", "next_time"],
        unique=False,
    )
    op.create_index(op.f("ix_webhook_deliveries_job_id"), "webhook_deliveries", ["job_id"], unique=False)
