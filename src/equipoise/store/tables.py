"""The tables of the service, one schema for SQLite and PostgreSQL. Statements are in the modules beside this one.

Three writers, three kinds of columns: use cases write what is desired, `nodes`, `lagging`, `traffic` and
`members.healthy` hold what was observed, and only `equipoise.store.jobs` writes the state of a job.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_ID = String(32)


def _below(table: str) -> Column[str]:
    """A reference to the row above; deleting that one deletes this one."""
    name = f"{table.removesuffix('s')}_id"
    return Column(name, _ID, ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False)


def _revision() -> Column[int]:
    """Of the last change of a row that other services have to know of."""
    return Column("revision", BigInteger, nullable=False, server_default="0")


def _lifecycle() -> list[Column[object]]:
    return [
        Column("status", String(16), nullable=False),
        Column("deleting", Boolean, nullable=False, server_default=false()),
        Column("create_time", BigInteger, nullable=False),
        Column("update_time", BigInteger, nullable=False),
    ]


revisions = Table(
    "revisions",
    metadata,
    # One row: the number of the newest change, which each writing transaction raises.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)

load_balancers = Table(
    "load_balancers",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("description", String(128), nullable=False),
    Column("type", String(8), nullable=False),
    Column("vpc_id", String(64), nullable=False),
    Column("vip_subnet_id", String(64)),
    Column("vip_address", String(15), nullable=False),
    Column("security_group_id", String(200)),
    Column("az", String(64)),
    Column("bandwidth", Integer),
    Column("admin_state_up", Integer, nullable=False),
    Column("charge_mode", String(16)),
    Column("eip_type", String(16)),
    Column("generation", BigInteger, nullable=False),
    _revision(),
    *_lifecycle(),
    Index(None, "project_id", "id"),
    Index(None, "revision"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("description", String(128), nullable=False),
    Column("domain", String(254), nullable=False),
    # No reference: each of the two rows would need the other one first.
    Column("content_id", _ID, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Index(None, "project_id", "id"),
)

certificate_contents = Table(
    "certificate_contents",
    metadata,
    Column("id", _ID, primary_key=True),
    _below("certificates"),
    Column("certificate", Text, nullable=False),
    Column("private_key", Text, nullable=False),
    Index(None, "certificate_id"),
)

listeners = Table(
    "listeners",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", String(64), nullable=False),
    _below("load_balancers"),
    Column("name", String(64), nullable=False),
    Column("description", String(128), nullable=False),
    Column("protocol", String(5), nullable=False),
    Column("port", Integer, nullable=False),
    # No reference: each of a listener and its private pool would need the other one first.
    Column("default_pool_id", _ID),
    Column("idle_timeout", Integer),
    Column("certificate_id", _ID, ForeignKey("certificates.id")),
    Column("tls_protocols", String(32)),
    Column("tls_ciphers", String(16)),
    Column("admin_state_up", Boolean, nullable=False),
    *_lifecycle(),
    Index(None, "load_balancer_id"),
    Index(None, "project_id", "id"),
    Index(None, "certificate_id"),
)

pools = Table(
    "pools",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", String(64), nullable=False),
    _below("load_balancers"),
    # Its life is that of this listener.
    Column("private_to", _ID, ForeignKey("listeners.id", ondelete="CASCADE")),
    Column("name", String(64), nullable=False),
    Column("description", String(128), nullable=False),
    Column("protocol", String(5), nullable=False),
    Column("algorithm", String(24), nullable=False),
    Column("default_port", Integer),
    Column("persistent", Boolean, nullable=False),
    Column("persistence_type", String(16)),
    Column("cookie_lifetime", Integer),
    Column("draining", Boolean),
    Column("draining_timeout", Integer),
    Column("admin_state_up", Boolean, nullable=False),
    *_lifecycle(),
    Index(None, "load_balancer_id"),
    Index(None, "project_id", "id"),
    Index(None, "private_to"),
)

members = Table(
    "members",
    metadata,
    Column("id", _ID, primary_key=True),
    _below("pools"),
    Column("server_id", String(64)),
    Column("address", String(15), nullable=False),
    Column("port", Integer),
    Column("weight", Integer, nullable=False),
    Column("backup", Boolean, nullable=False),
    Column("monitor_address", String(15)),
    Column("monitor_port", Integer),
    Column("admin_state_up", Boolean, nullable=False),
    Column("healthy", Boolean),
    *_lifecycle(),
    Index(None, "pool_id", "address"),
)

draining_members = Table(
    "draining_members",
    metadata,
    Column("id", _ID, primary_key=True),
    _below("pools"),
    Column("address", String(15), nullable=False),
    # The job that removes the member; no reference, since the row may outlive it.
    Column("job_id", _ID, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Index(None, "pool_id", "address"),
    Index(None, "ends_at"),
)

health_monitors = Table(
    "health_monitors",
    metadata,
    Column("id", _ID, primary_key=True),
    _below("pools"),
    Column("type", String(4), nullable=False),
    Column("path", String(80)),
    Column("port", Integer),
    Column("healthy_threshold", Integer, nullable=False),
    Column("unhealthy_threshold", Integer, nullable=False),
    Column("timeout", Integer, nullable=False),
    Column("interval", Integer, nullable=False),
    *_lifecycle(),
    Index(None, "pool_id"),
)

addresses = Table(
    "addresses",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("address", String(15), nullable=False, unique=True),
    Column("project_id", String(64), nullable=False),
    Column("type", String(8), nullable=False),
    Column("load_balancer_id", _ID, ForeignKey("load_balancers.id", ondelete="CASCADE"), unique=True),
    # Of an elastic IP only.
    Column("bandwidth", Integer),
    Column("charge_mode", String(16)),
    Column("eip_type", String(16)),
    Column("create_time", BigInteger, nullable=False),
    Index(None, "project_id", "id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _ID, primary_key=True),
    # Of a sub-job: what it is a part of, and which part, counted from 1.
    Column("parent_id", _ID, ForeignKey("jobs.id", ondelete="CASCADE")),
    Column("position", Integer, nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("job_type", String(32), nullable=False),
    Column("status", String(8), nullable=False),
    # No reference: a job outlives what it was about.
    Column("load_balancer_id", _ID, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("scope", JSON, nullable=False, server_default="[]"),
    Column("subject", JSON, nullable=False),
    Column("changes", JSON, nullable=False),
    Column("failure", String(64)),
    Column("fail_reason", Text),
    Column("warnings", JSON, nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("resource_id", _ID, nullable=False),
    Column("begin_time", BigInteger, nullable=False),
    Column("running_time", BigInteger),
    Column("end_time", BigInteger),
    Column("deadline", BigInteger, nullable=False),
    # Of the change that it stands for; that of its row is of its last transition.
    Column("accepted_revision", BigInteger, nullable=False, server_default="0"),
    _revision(),
)
Index("ix_jobs_of_project", jobs.c.project_id, jobs.c.begin_time, jobs.c.id)
# Of those that have not ended by the change that they stand for: the watermark of a node may pass it.
Index("ix_jobs_ended", jobs.c.end_time, jobs.c.accepted_revision)
# Conditions without values, so that the planner sees that a query implies them.
unfinished = jobs.c.end_time.is_(None)
has_ended = jobs.c.end_time.is_not(None)
Index("ix_jobs_ended_revision", jobs.c.revision, sqlite_where=has_ended, postgresql_where=has_ended)
Index(
    "ix_jobs_unfinished",
    jobs.c.load_balancer_id,
    # So that jobs are found without a look at their sub-jobs.
    jobs.c.parent_id,
    jobs.c.generation,
    sqlite_where=unfinished,
    postgresql_where=unfinished,
)

is_part = jobs.c.parent_id.is_not(None)
Index("ix_jobs_parent_id", jobs.c.parent_id, sqlite_where=is_part, postgresql_where=is_part)

webhooks = Table(
    "webhooks",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", String(64), ForeignKey("webhooks.project_id", ondelete="CASCADE"), nullable=False),
    # A job is not forgotten while its end is to be told.
    Column("job_id", _ID, ForeignKey("jobs.id"), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_time", BigInteger, nullable=False),
    Index(None, "project_id", "next_time"),
    Index(None, "job_id"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("project_id", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("job_id", _ID, nullable=False),
    Column("resource_id", _ID, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Index(None, "create_time"),
)

services = Table(
    "services",
    metadata,
    Column("id", _ID, primary_key=True),
    # Those that should be the same everywhere: name -> value.
    Column("settings", JSON, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("live", Boolean, nullable=False),
    # The revision at which a controller took it over: what others write of it after that is void.
    Column("session", BigInteger, nullable=False, server_default="0"),
    # Milliseconds since 1970 (UTC), by the clock of the database.
    Column("lease_until", BigInteger, nullable=False, server_default="0"),
    # The watermark: every change up to this revision is in force there, except those of what lags.
    Column("in_force", BigInteger, nullable=False, server_default="-1"),
)

# Load balancers that are not in force up to the watermark of a node, and up to which revision they are.
lagging = Table(
    "lagging",
    metadata,
    Column("load_balancer_id", _ID, ForeignKey("load_balancers.id", ondelete="CASCADE"), primary_key=True),
    Column("node_id", String(64), ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", BigInteger, nullable=False),
)

# Nodes that reject something of a load balancer that no job is about: its listener is in ERROR until none does.
rejections = Table(
    "rejections",
    metadata,
    Column("load_balancer_id", _ID, ForeignKey("load_balancers.id", ondelete="CASCADE"), primary_key=True),
    Column("node_id", String(64), ForeignKey("nodes.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "node_id"),
)

traffic = Table(
    "traffic",
    metadata,
    # No reference: the next sample takes the place of one whose load balancer has gone.
    Column("load_balancer_id", _ID, primary_key=True),
    Column("node_id", String(64), primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("act_conn", BigInteger, nullable=False),
    Column("inact_conn", BigInteger, nullable=False),
    Column("ncps", BigInteger, nullable=False),
    Column("in_packets", BigInteger, nullable=False),
    Column("out_packets", BigInteger, nullable=False),
    Column("in_bytes", BigInteger, nullable=False),
    Column("out_bytes", BigInteger, nullable=False),
    Index(None, "node_id"),
)

identity = Table(
    "identity",
    metadata,
    # Always 1: there is one identity in a database.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", _ID, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("directory_revision", BigInteger, nullable=False),
    # No references: the row is older than those it names, and may outlive them.
    Column("administrator_id", _ID),
    Column("project_id", _ID),
    Column("password", Text),
)

domains = Table(
    "domains",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
)

projects = Table(
    "projects",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("domain_id", _ID, ForeignKey("domains.id"), nullable=False),
    UniqueConstraint("domain_id", "name"),
)

users = Table(
    "users",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("domain_id", _ID, ForeignKey("domains.id"), nullable=False),
    Column("password_hash", Text, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

role_assignments = Table(
    "role_assignments",
    metadata,
    Column("user_id", _ID, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", _ID, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("role", String(16), primary_key=True),
    Index(None, "project_id"),
)

token_keys = Table(
    "token_keys",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("key", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("audit_id", String(32), primary_key=True),
    # In seconds since 1970, as tokens have it.
    Column("expires", BigInteger, nullable=False),
    # Of this revocation: whoever knows an earlier one reads what came after.
    Column("revision", BigInteger, nullable=False),
    Index(None, "expires"),
    Index(None, "revision"),
)

authorities = Table(
    "authorities",
    metadata,
    # One row: the authority of the certificates of controllers and nodes.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("certificate", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
)

join_tokens = Table(
    "join_tokens",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("expires", BigInteger, nullable=False),
    # The fingerprint of the key of the node that used it.
    Column("used_by", String(64)),
)

# Nodes on other machines that may speak to the controllers. Whether one does is in `nodes`.
admitted_nodes = Table(
    "admitted_nodes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("key_fingerprint", String(64), nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("certificate_until", BigInteger, nullable=False),
)
