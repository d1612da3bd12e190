"""The two forms of time on the wire, both UTC, from milliseconds since 1970."""

from datetime import UTC, datetime


def resource_time(milliseconds: int) -> str:
    """Times of resources: `2015-09-14 02:34:32` (classic-api.md)."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def job_time(milliseconds: int) -> str:
    """Times of jobs: `2017-09-29T09:49:37.399Z` (jobs.md)."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{rest:03}Z"
