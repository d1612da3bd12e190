"""The story of every job in the log: one line a transition."""

from collections.abc import Iterable

import structlog

from equipoise.store.events import Event, JobMoved

_log = structlog.get_logger("equipoise.jobs")


def write_transitions(events: Iterable[Event]) -> None:
    """Log each transition with the job, its load balancer, generation, request and duration in milliseconds."""
    for event in events:
        if isinstance(event, JobMoved):
            _log.info(
                "job",
                status=event.status.value,
                job_id=event.job_id,
                job_type=event.job_type.value,
                project_id=event.project_id,
                load_balancer_id=event.load_balancer_id,
                generation=event.generation,
                duration_ms=event.elapsed,
                # Named by the job, not by what happens to be bound here: it ends long after its request.
                request_id=event.request_id,
                **({} if event.fail_reason is None else {"failure": event.failure, "fail_reason": event.fail_reason}),
            )
