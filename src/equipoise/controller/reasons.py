"""The sentences in which a job says why it failed: what happened to which thing, and what the user can do."""

from collections.abc import Collection

from equipoise.core.jobs import FailureReason, JobStatus, Warned, WarningReason
from equipoise.proxy.rejections import RejectedResource


def of_rejection(node_id: str, rejected: RejectedResource) -> tuple[FailureReason, str]:
    """Why a job fails that a rejection is about, for programs and for people."""
    reason = rejected.reason
    if rejected.kind.is_about_listening:
        return (
            FailureReason.CANNOT_LISTEN,
            f"The data plane (node {node_id}) {reason}. Free the port or choose another one, then try again.",
        )
    return (
        FailureReason.REJECTED,
        f"The data plane (node {node_id}) rejected {rejected.resource}: {reason}. The change was rolled back.",
    )


def of_bandwidth(unavailable_reason: str) -> Warned:
    """That the bandwidth of a load balancer is not in force, and why."""
    message = f"The bandwidth is stored but not limited on this machine: {unavailable_reason}."
    return Warned(WarningReason.BANDWIDTH_NOT_ENFORCED, message)


def of_connections(unavailable_reason: str) -> Warned:
    """That the connections of a removed member are not ended, and why."""
    return Warned(
        WarningReason.CONNECTIONS_NOT_CUT,
        "The member gets no new connection, but those that it has stay until one side ends them: "
        f"{unavailable_reason}.",
    )


def of_time_limit(status: JobStatus, seconds: float, live_nodes: Collection[str]) -> str:
    """Why a job ran out of time."""
    limit = f"within its time limit of {seconds:g} s"
    if not live_nodes:
        return (
            f"No data-plane node was connected {limit}. The change was rolled back; "
            "check that the data plane runs, then try again."
        )
    names = ", ".join(sorted(live_nodes))
    if status == JobStatus.INIT:
        return f"The change could not be handed to the data plane ({names}) {limit}. It was rolled back; try again."
    return f"The data plane ({names}) did not confirm the change {limit}. It was rolled back; try again later."
