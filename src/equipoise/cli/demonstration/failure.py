"""The one exception of the demo, and how errors of the API become one."""

from equipoise.client import ApiError, ClientError, JobFailed, JobUnfinished


class DemoFailed(Exception):
    """The demo cannot go on.

    Args:
        what: what happened, one sentence.
        remedy: what the person in front of it can do, one sentence.
        evidence: lines that show it, such as the end of a log.
    """

    def __init__(self, what: str, remedy: str, evidence: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.evidence = evidence


def explained(error: ClientError) -> DemoFailed:
    """What a call of the API that went wrong means for the person in front of the demo."""
    match error:
        case JobFailed():
            return DemoFailed(str(error), "The reason says what to change; then start the demo again.")
        case JobUnfinished():
            return DemoFailed(
                str(error),
                "See that Envoy can run on this machine (log/envoy.log in a data directory tells), then start again.",
            )
        case ApiError():
            return DemoFailed(
                f"{error.method} {error.path} was answered with {error.status}.",
                "The lines above are the answer; it says what the service did not like.",
                error.text,
            )
    return DemoFailed(
        str(error),
        "Start the demo again; if it happens again, run `equipoise up` by itself and look at its log.",
    )
