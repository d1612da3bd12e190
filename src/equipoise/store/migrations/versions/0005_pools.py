"""Pools: what a listener had of members, health check and choice of a member becomes a pool of its own, with its id.

Times become milliseconds. What jobs remember follows: the rows that they wrote, what they are about, why they failed.

Revision ID: 0005
Revises: 0002
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0002"

MINUTE = 60_000
SECOND = 1_000
BATCH = 1_000

ALGORITHMS = {"roundrobin": "ROUND_ROBIN", "leastconn": "LEAST_CONNECTIONS", "source": "SOURCE_IP"}

FAILURES = {
    "DATA_PLANE_BIND": "CANNOT_LISTEN",
    "DATA_PLANE_REFUSED": "REJECTED",
    "JOB_CANCELLED": "CANCELLED",
    "JOB_PARTS_FAILED": "SUB_JOBS_FAILED",
    "ELASTIC_IP_POOL_EXHAUSTED": "NO_ELASTIC_IP_LEFT",
    "ADDRESS_POOL_EXHAUSTED": "NO_ADDRESS_LEFT",
}

Convert = Callable[[Any], Any]


def same(value: Any) -> Any:
    return value


def times(unit: int) -> Convert:
    return lambda value: None if value is None else value * unit


LISTENER_COLUMNS: Mapping[str, tuple[str, Convert]] = {
    "tcp_timeout": ("idle_timeout", times(MINUTE)),
    "udp_timeout": ("idle_timeout", times(MINUTE)),
    "ssl_protocols": ("tls_protocols", same),
    "ssl_ciphers": ("tls_ciphers", same),
}
POOL_COLUMNS: Mapping[str, tuple[str, Convert]] = {
    "backend_port": ("default_port", same),
    "lb_algorithm": ("algorithm", ALGORITHMS.__getitem__),
    "tcp_draining": ("draining", same),
    "tcp_draining_timeout": ("draining_timeout", times(MINUTE)),
}
"""Of the columns that went to the pool those that could be updated."""

MONITOR_COLUMNS: Mapping[str, tuple[str, Convert]] = {
    "healthcheck_protocol": ("type", same),
    "healthcheck_uri": ("path", same),
    "healthcheck_connect_port": ("port", same),
    "healthcheck_timeout": ("timeout", times(SECOND)),
    "healthcheck_interval": ("interval", times(SECOND)),
}


def upgrade() -> None:
    _make_pools()
    _move_listeners()
    _move_members()
    _move_health_checks()
    _move_draining_members()
    _move_jobs()


def _lifecycle() -> list[sa.Column[Any]]:
    return [
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("deleting", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
    ]


def _make_pools() -> None:
    op.create_table(
        "pools",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("load_balancer_id", sa.String(length=32), nullable=False),
        sa.Column("private_to", sa.String(length=32), nullable=True),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=128), nullable=False),
        sa.Column("protocol", sa.String(length=5), nullable=False),
        sa.Column("algorithm", sa.String(length=24), nullable=False),
        sa.Column("default_port", sa.Integer(), nullable=True),
        sa.Column("persistent", sa.Boolean(), nullable=False),
        sa.Column("persistence_type", sa.String(length=16), nullable=True),
        sa.Column("cookie_lifetime", sa.Integer(), nullable=True),
        sa.Column("draining", sa.Boolean(), nullable=True),
        sa.Column("draining_timeout", sa.Integer(), nullable=True),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        *_lifecycle(),
        sa.ForeignKeyConstraint(
            ["load_balancer_id"], ["load_balancers.id"], name=op.f("fk_pools_load_balancer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["private_to"], ["listeners.id"], name=op.f("fk_pools_private_to"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pools")),
    )
    op.create_index(op.f("ix_pools_load_balancer_id"), "pools", ["load_balancer_id"], unique=False)
    op.create_index(op.f("ix_pools_project_id_id"), "pools", ["project_id", "id"], unique=False)
    op.create_index(op.f("ix_pools_private_to"), "pools", ["private_to"], unique=False)
    op.execute(
        f"""
        INSERT INTO pools (id, project_id, load_balancer_id, private_to, name, description, protocol, algorithm,
            default_port, persistent, persistence_type, cookie_lifetime, draining, draining_timeout, admin_state_up,
            status, deleting, create_time, update_time)
        SELECT id, project_id, load_balancer_id, id, '', '', backend_protocol,
            CASE lb_algorithm WHEN 'leastconn' THEN 'LEAST_CONNECTIONS' WHEN 'source' THEN 'SOURCE_IP'
                ELSE 'ROUND_ROBIN' END,
            backend_port, session_sticky,
            CASE WHEN sticky_session_type IS NOT NULL THEN 'HTTP_COOKIE'
                WHEN session_sticky AND protocol = 'TCP' THEN 'SOURCE_IP' END,
            cookie_timeout * {MINUTE}, tcp_draining, tcp_draining_timeout * {MINUTE}, true,
            'ACTIVE', false, create_time, update_time
        FROM listeners
        """  # noqa: S608 - a number
    )


def _move_listeners() -> None:
    """In place, not by a copy: to drop the table would take with it all that refers to it."""
    op.add_column("listeners", sa.Column("default_pool_id", sa.String(length=32), nullable=True))
    op.add_column("listeners", sa.Column("idle_timeout", sa.Integer(), nullable=True))
    op.execute("UPDATE listeners SET default_pool_id = id, idle_timeout = COALESCE(tcp_timeout, udp_timeout) * 60000")
    for column in (
        "backend_protocol",
        "backend_port",
        "lb_algorithm",
        "session_sticky",
        "sticky_session_type",
        "cookie_timeout",
        "tcp_timeout",
        "tcp_draining",
        "tcp_draining_timeout",
        "udp_timeout",
    ):
        op.execute(f"ALTER TABLE listeners DROP COLUMN {column}")
    op.execute("ALTER TABLE listeners RENAME COLUMN ssl_protocols TO tls_protocols")
    op.execute("ALTER TABLE listeners RENAME COLUMN ssl_ciphers TO tls_ciphers")


def _move_members() -> None:
    op.execute("CREATE TABLE moving AS SELECT * FROM members")
    op.drop_table("members")
    op.create_table(
        "members",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("pool_id", sa.String(length=32), nullable=False),
        sa.Column("server_id", sa.String(length=64), nullable=True),
        sa.Column("address", sa.String(length=15), nullable=False),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("backup", sa.Boolean(), nullable=False),
        sa.Column("monitor_address", sa.String(length=15), nullable=True),
        sa.Column("monitor_port", sa.Integer(), nullable=True),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("healthy", sa.Boolean(), nullable=True),
        *_lifecycle(),
        sa.ForeignKeyConstraint(["pool_id"], ["pools.id"], name=op.f("fk_members_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_pool_id_address"), "members", ["pool_id", "address"], unique=False)
    op.execute(
        """
        INSERT INTO members (id, pool_id, server_id, address, weight, backup, admin_state_up, healthy, status, deleting,
            create_time, update_time)
        SELECT id, listener_id, server_id, address, 1, false, true, healthy, status, deleting, create_time, update_time
        FROM moving
        """
    )
    op.drop_table("moving")


def _move_health_checks() -> None:
    op.create_table(
        "health_monitors",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("pool_id", sa.String(length=32), nullable=False),
        sa.Column("type", sa.String(length=4), nullable=False),
        sa.Column("path", sa.String(length=80), nullable=True),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.Column("healthy_threshold", sa.Integer(), nullable=False),
        sa.Column("unhealthy_threshold", sa.Integer(), nullable=False),
        sa.Column("timeout", sa.Integer(), nullable=False),
        sa.Column("interval", sa.Integer(), nullable=False),
        *_lifecycle(),
        sa.ForeignKeyConstraint(["pool_id"], ["pools.id"], name=op.f("fk_health_monitors_pool_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_monitors")),
    )
    op.create_index(op.f("ix_health_monitors_pool_id"), "health_monitors", ["pool_id"], unique=False)
    op.execute(
        f"""
        INSERT INTO health_monitors (id, pool_id, type, path, port, healthy_threshold, unhealthy_threshold, timeout,
            "interval", status, deleting, create_time, update_time)
        SELECT id, listener_id, healthcheck_protocol, healthcheck_uri, healthcheck_connect_port, healthy_threshold,
            unhealthy_threshold, healthcheck_timeout * {SECOND}, healthcheck_interval * {SECOND}, status, deleting,
            create_time, update_time
        FROM health_checks
        """  # noqa: S608 - a number
    )
    op.drop_table("health_checks")


def _move_draining_members() -> None:
    op.execute("CREATE TABLE moving AS SELECT * FROM draining_members")
    op.drop_table("draining_members")
    op.create_table(
        "draining_members",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("pool_id", sa.String(length=32), nullable=False),
        sa.Column("address", sa.String(length=15), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(
            ["pool_id"], ["pools.id"], name=op.f("fk_draining_members_pool_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draining_members")),
    )
    op.create_index(
        op.f("ix_draining_members_pool_id_address"), "draining_members", ["pool_id", "address"], unique=False
    )
    op.create_index(op.f("ix_draining_members_ends_at"), "draining_members", ["ends_at"], unique=False)
    op.execute(
        """
        INSERT INTO draining_members (id, pool_id, address, job_id, ends_at, status)
        SELECT id, listener_id, address, job_id, ends_at, status FROM moving
        """
    )
    op.drop_table("moving")


# What jobs remember


def _move_jobs() -> None:
    op.execute("ALTER TABLE jobs RENAME COLUMN entities TO subject")
    op.execute("ALTER TABLE jobs RENAME COLUMN scope TO old_scope")
    op.add_column("jobs", sa.Column("scope", sa.JSON(), server_default="[]", nullable=False))
    jobs = sa.table(
        "jobs",
        sa.column("id", sa.String),
        sa.column("job_type", sa.String),
        sa.column("load_balancer_id", sa.String),
        sa.column("old_scope", sa.String),
        sa.column("scope", sa.JSON),
        sa.column("subject", sa.JSON),
        sa.column("changes", sa.JSON),
        sa.column("failure", sa.String),
        sa.column("warnings", sa.JSON),
        sa.column("end_time", sa.BigInteger),
    )
    write = (
        sa.update(jobs)
        .where(jobs.c.id == sa.bindparam("job_id"))
        .values({name: sa.bindparam(f"new_{name}") for name in ("scope", "subject", "changes", "failure", "warnings")})
    )
    connection = op.get_bind()
    after = ""
    while True:
        found = (
            connection.execute(sa.select(jobs).where(jobs.c.id > after).order_by(jobs.c.id).limit(BATCH))
            .mappings()
            .all()
        )
        if not found:
            break
        connection.execute(write, [_moved(dict(row)) for row in found])
        after = found[-1]["id"]
    op.execute("ALTER TABLE jobs DROP COLUMN old_scope")
    op.drop_index("ix_jobs_unfinished", "jobs")
    op.create_index(
        "ix_jobs_unfinished",
        "jobs",
        ["load_balancer_id", "parent_id", "generation"],
        unique=False,
        sqlite_where=sa.text("end_time IS NULL"),
        postgresql_where=sa.text("end_time IS NULL"),
    )


def _moved(row: Mapping[str, Any]) -> dict[str, Any]:
    unfinished = row["end_time"] is None
    return {
        "job_id": row["id"],
        "new_scope": _scope(row["old_scope"], row["load_balancer_id"]) if unfinished else [],
        "new_subject": _subject(row["job_type"], row["subject"]),
        "new_changes": _changes(row["changes"]) if unfinished else row["changes"],
        "new_failure": FAILURES.get(row["failure"], row["failure"]),
        "new_warnings": [{"reason": one["rule"], "message": one["message"]} for one in row["warnings"]],
    }


def _scope(old: str, load_balancer_id: str) -> list[str]:
    match old:
        case "":
            return []
        case "*":
            return [f"load_balancer:{load_balancer_id}"]
    return [f"listener:{old}", f"pool:{old}"]


def _subject(job_type: str, entities: Mapping[str, Any]) -> dict[str, Any]:
    match entities:
        case {"elb": elb}:
            known = {name: value for name, value in elb.items() if name != "tenant_id"}
            return {
                "kind": "LoadBalancerSubject",
                **known,
                "project_id": elb["tenant_id"],
                "admin_state_up": int(elb["admin_state_up"]),
            }
        case {"elb_id": id}:
            return {"kind": "DeletionSubject", "load_balancer_id": id}
        case {"members": members} if job_type == "createMember":
            return {
                "kind": "MembersSubject",
                "pool_id": members[0]["listener_id"],
                "members": [_member(one) for one in members],
            }
        case {"listener_id": listener_id, "members": members}:
            return {"kind": "MembersSubject", "pool_id": listener_id, "members": [_member(one) for one in members]}
        case {"listener_id": listener_id, "healthcheck_id": id}:
            return {"kind": "HealthMonitorSubject", "pool_id": listener_id, "id": id}
        case {"listener_id": listener_id}:
            return {"kind": "ListenerSubject", "id": listener_id}
    return {}


def _member(old: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: old[name] for name in ("id", "address", "server_id") if name in old}
    return known | ({"rolled_back": True} if "taken_back" in old else {})


def _changes(old: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [new for change in old for new in _change(change)]


def _change(old: Mapping[str, Any]) -> list[dict[str, Any]]:
    match old:
        case {"kind": "Updated", "table": "listeners"}:
            of_pool = old["after"].keys() & POOL_COLUMNS.keys()
            parts = [
                _updated(old, "listeners", LISTENER_COLUMNS, old["after"].keys() - of_pool),
                _updated(old, "pools", POOL_COLUMNS, of_pool),
            ]
            return [part for part in parts if part["after"]]
        case {"kind": "Updated", "table": "health_checks"}:
            return [_updated(old, "health_monitors", MONITOR_COLUMNS, old["after"].keys())]
        case {"table": "health_checks"}:
            return [{**old, "table": "health_monitors"}]
    return [dict(old)]


def _updated(
    old: Mapping[str, Any], table: str, columns: Mapping[str, tuple[str, Convert]], names: Iterable[str]
) -> dict[str, Any]:
    def renamed(values: Mapping[str, Any]) -> dict[str, Any]:
        new = {}
        for name in names:
            column, convert = columns.get(name, (name, same))
            new[column] = convert(values[name])
        return new

    names = sorted(names)
    return {
        "kind": "Updated",
        "table": table,
        "id": old["id"],
        "before": renamed(old["before"]),
        "after": renamed(old["after"]),
    }
