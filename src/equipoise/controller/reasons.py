"""The sentences in which a job says why it failed: what happened to which thing, and what the user can do."""

from collections.abc import Collection

from equipoise.domain.jobs import FailureReason, JobStatus, Warned, WarningReason
from equipoise.proxy.rejections import Refused


def of_refusal(node_id: str, refusal: Refused) -> tuple[FailureReason, str]:
    """Why a job fails that a refusal is about, for programs and for people."""
    reason = refusal.reason
    if refusal.kind.is_about_listening:
        return (
            FailureReason.CANNOT_LISTEN,
            f"The data plane (node {node_id}) {reason}. Free the port or choose another one, then try again.",
        )
    return (
        FailureReason.REJECTED,
        f"The data plane (node {node_id}) refused {refusal.resource}: {reason}. The change was taken back.",
    )


def of_bandwidth(hindrance: str) -> Warned:
    """That the bandwidth of a load balancer is not in force, and why."""
    return Warned(
        WarningReason.BANDWIDTH_NOT_ENFORCED, f"The bandwidth is stored but not limited on this machine: {hindrance}."
    )


def of_connections(obstacle: str) -> Warned:
    """That the connections of a removed member are not ended, and why."""
    return Warned(
        WarningReason.CONNECTIONS_NOT_CUT,
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
