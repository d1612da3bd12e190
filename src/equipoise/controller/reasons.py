"""The sentences in which a job says why it failed: what happened to which thing, and what the user can do."""

from collections.abc import Collection

from equipoise.domain.errors import Rule
from equipoise.domain.jobs import JobStatus, Warned

_BIND_MARK = "cannot listen"


def of_refusal(node_id: str, resource: str, reason: str) -> tuple[Rule, str]:
    """Which rule a refusal breaks (errors.json: ELB.9007 for an address and port, ELB.9006 for all else), and why."""
    if _BIND_MARK in reason:
        return (
            Rule.DATA_PLANE_BIND,
            f"The data plane (node {node_id}) {reason}. Free the port or choose another one, then try again.",
        )
    return (
        Rule.DATA_PLANE_REFUSED,
        f"The data plane (node {node_id}) refused {resource}: {reason}. The change was taken back.",
    )


def of_bandwidth(hindrance: str) -> Warned:
    """That the bandwidth of a load balancer is not in force, and why (errors.json: ELB.5005)."""
    return Warned(Rule.BANDWIDTH_NOT_ENFORCED, f"The bandwidth is stored but not limited on this machine: {hindrance}.")


def of_connections(obstacle: str) -> Warned:
    """That the connections of a removed member are not ended, and why (errors.json: ELB.9006)."""
    return Warned(
        Rule.CONNECTIONS_NOT_CUT,
        f"The member gets no new connection, but those that it has stay until one side ends them: {obstacle}.",
    )


def of_time_limit(status: JobStatus, seconds: float, live_nodes: Collection[str]) -> str:
    """Why a job ran out of time."""
    limit = f"within its time limit of {seconds:g} s"
    if not live_nodes:
        return (
            f"No data-plane node was connected {limit}. The change was taken back; "
            "see that the data plane runs, then try again."
        )
    names = ", ".join(sorted(live_nodes))
    if status == JobStatus.INIT:
        return f"The change could not be handed to the data plane ({names}) {limit}. It was taken back; try again."
    return f"The data plane ({names}) did not confirm the change {limit}. It was taken back; try again later."
