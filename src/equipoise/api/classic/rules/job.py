"""The rules of queries about jobs: filters of the list, and for how long to wait for one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from equipoise.api.classic.codes import Rule, RuleBroken
from equipoise.api.classic.rules import fields
from equipoise.core.jobs import JobFilters, JobStatus, JobType
from equipoise.core.references import is_id
from equipoise.parameters import given_in
from equipoise.quoting import shown

LONGEST_WAIT: Final = 300.0
"""Seconds; longer than most proxies in between keep a quiet connection open."""

_FILTERS: Final = ("status", "job_type", "resource_id", "begin_time_from", "begin_time_to")


@dataclass(frozen=True, slots=True)
class JobFilterQuery:
    """`limit` is 0 or more, None for no limit; `marker` is the id that ended the page before."""

    filters: JobFilters
    limit: int | None
    marker: str | None


def job_filters(query: Mapping[str, str]) -> JobFilterQuery:
    """Raises JOB_QUERY_INVALID."""
    query = given_in(query)
    unknown = [name for name in query if name not in (*_FILTERS, "limit", "marker")]
    if unknown:
        raise _invalid(f"{shown(unknown[0])} is no filter here; there are {', '.join(_FILTERS)}, limit and marker.")
    return JobFilterQuery(
        JobFilters(
            status=_one_of(query, "status", tuple(JobStatus)),
            job_type=_one_of(query, "job_type", tuple(JobType)),
            resource_id=_id(query, "resource_id"),
            begin_time_from=_time(query, "begin_time_from"),
            begin_time_to=_time(query, "begin_time_to"),
        ),
        _limit(query),
        _id(query, "marker"),
    )


def seconds_to_wait(query: Mapping[str, str]) -> float:
    """The parameter `wait`: 0 to 300 seconds, 0 when it is not given. Raises JOB_QUERY_INVALID."""
    given = query.get("wait")
    if not given:
        return 0.0
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    # Written so that NaN, which is neither below nor above, is refused.
    if not 0 <= seconds <= LONGEST_WAIT:
        raise _invalid(f"wait must be a number of seconds, 0 to {LONGEST_WAIT:g}, but it is {shown(given)}.")
    return seconds


def wants_history(query: Mapping[str, str]) -> bool:
    """The parameter `history`: true or false, false when it is not given. Raises JOB_QUERY_INVALID."""
    given = query.get("history")
    return bool(given) and fields.boolean(given, "history", Rule.JOB_QUERY_INVALID)


def _one_of(query: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str | None:
    given = query.get(name)
    if given is not None and given not in allowed:
        raise _invalid(f"{name} must be one of {', '.join(allowed)}, but it is {shown(given)}.")
    return given


def _id(query: Mapping[str, str], name: str) -> str | None:
    given = query.get(name)
    if given is not None and not is_id(given):
        raise _invalid(f"{name} must be 32 characters of 0-9 and a-f, but it is {shown(given)}.")
    return given


def _limit(query: Mapping[str, str]) -> int | None:
    given = query.get("limit")
    if given is None:
        return None
    limit = fields.integer(given)
    if limit is None:
        raise _invalid(f"limit must be an integer of 0 or more, but it is {shown(given)}.")
    return limit


def _time(query: Mapping[str, str], name: str) -> int | None:
    """Milliseconds since 1970, from ISO 8601 such as jobs show it; without a zone it is UTC."""
    given = query.get(name)
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
        # Rounded, because the fraction of a second is no exact binary number.
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise _invalid(f"{name} must be a time such as 2017-09-29T09:49:37.399Z, but it is {shown(given)}.") from None


def _invalid(detail: str) -> RuleBroken:
    return RuleBroken(Rule.JOB_QUERY_INVALID, detail)
