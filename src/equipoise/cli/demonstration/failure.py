"""The one exception of the demo."""


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
