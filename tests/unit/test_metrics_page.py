"""The page of figures, read as Prometheus reads it: with the parser of its own library."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from equipoise.backends.envoy.build.type_urls import CLUSTER
from equipoise.core.jobs import JobStatus, JobType
from equipoise.metrics import families
from equipoise.metrics.exposition import Durations, Family
from equipoise.metrics.families import metrics_reference
from equipoise.metrics.jobs import JobFigures
from equipoise.metrics.page import MetricsPage
from equipoise.metrics.stream import StreamFigures
from equipoise.metrics.token import MetricsTokenError, read_or_make
from equipoise.node.telemetry.traffic import Look
from equipoise.node.telemetry.traffic_reading import ListenerCounts, MemberCounts
from equipoise.store.events import JobMoved
from equipoise.store.inventory import Inventory, ListenerLabels, LoadBalancerLabels, MemberLabels

LB, WEB, DNS = "1" * 32, "2" * 32, "3" * 32
AWKWARD = 'a "b" \\ c'
INVENTORY = Inventory(
    [LoadBalancerLabels(LB, AWKWARD, "p1", "127.77.0.1", "External")],
    [
        ListenerLabels(LB, AWKWARD, WEB, "网", "p1", "HTTP", 80, "127.77.0.1", WEB),
        ListenerLabels(LB, AWKWARD, DNS, "dns", "p1", "UDP", 53, "127.77.0.1", DNS),
    ],
    [
        MemberLabels(WEB, WEB, "4" * 32, "127.0.0.9", False, True),
        MemberLabels(WEB, WEB, "5" * 32, "127.0.0.10", True, False),
        MemberLabels(DNS, DNS, "6" * 32, "127.0.0.9", True, True),
    ],
)
FIGURES = {
    WEB: ListenerCounts(2, 1, connections=9, answers_2xx=5, within_5=1, within_10000=4, timed=5, milliseconds=1500),
    DNS: ListenerCounts(active=4, connections=4, refused=3, in_packets=8),
}
MEMBERS = {(WEB, "127.0.0.9"): MemberCounts(active=1, connections=6, failed_connections=2, requests=7)}


def looked(*, is_up: bool = True, packets_are_counted: bool = True) -> Look:
    return Look(1_500, FIGURES, MEMBERS, is_up, packets_are_counted)


def page_of(look: Look | None) -> str:
    page = MetricsPage("local", lambda: None, lambda: 0)
    if look is not None:
        page.traffic.take(look, INVENTORY)
    return "".join(page.lines({}))


def read(text: str) -> dict[str, Metric]:
    """By the name of the family as it stands on the page."""
    found = list(text_string_to_metric_families(text))
    names = [f"{each.name}_total" if each.type == "counter" else each.name for each in found]
    assert len(names) == len(set(names)), "every family stands in one place"
    return dict(zip(names, found, strict=True))


def values(metric: Metric, name: str | None = None) -> Mapping[tuple[str, ...], float]:
    """By the values of the labels that tell samples apart."""
    apart = ("listener", "address", "state", "code", "le", "type", "node", "kind")
    return {
        tuple(each.labels[label] for label in apart if label in each.labels): each.value
        for each in metric.samples
        if name is None or each.name == name
    }


def test_traffic_of_listeners_is_told_with_ids_and_names() -> None:
    found = read(page_of(looked()))
    one = found["equipoise_listener_connections_total"].samples[0]
    assert one.labels == {"load_balancer_id": LB, "load_balancer": AWKWARD, "listener_id": WEB, "listener": "网"}
    assert one.value == 9
    assert values(found["equipoise_listener_open_connections"])["网", "active"] == 2
    assert values(found["equipoise_listener_open_connections"])["网", "idle"] == 1
    assert values(found["equipoise_listener_refused_connections_total"])["dns",] == 3
    assert values(found["equipoise_listener_received_packets_total"])["dns",] == 8
    assert found["equipoise_traffic_sample_timestamp_seconds"].samples[0].value == 1.5


def test_requests_and_response_times_are_told_of_http_only() -> None:
    found = read(page_of(looked()))
    assert values(found["equipoise_listener_requests_total"]) == {
        ("网", "1xx"): 0,
        ("网", "2xx"): 5,
        ("网", "3xx"): 0,
        ("网", "4xx"): 0,
        ("网", "5xx"): 0,
    }
    times = found["equipoise_listener_request_duration_seconds"]
    assert values(times, f"{times.name}_bucket")["网", "0.005"] == 1
    assert values(times, f"{times.name}_bucket")["网", "10"] == 4
    assert values(times, f"{times.name}_bucket")["网", "+Inf"] == values(times, f"{times.name}_count")["网",] == 5
    assert values(times, f"{times.name}_sum")["网",] == 1.5


def test_members_are_told_of_and_their_health_only_where_a_check_tells() -> None:
    found = read(page_of(looked()))
    assert values(found["equipoise_member_connections_total"])["网", "127.0.0.9"] == 6
    assert values(found["equipoise_member_connection_failures_total"])["网", "127.0.0.9"] == 2
    assert values(found["equipoise_member_requests_total"])["网", "127.0.0.10"] == 0
    assert values(found["equipoise_member_healthy"]) == {("网", "127.0.0.9"): 0, ("dns", "127.0.0.9"): 1}
    assert ("dns", "127.0.0.9") not in values(found["equipoise_member_connections_total"])


def test_what_is_not_known_is_absent_and_not_zero() -> None:
    before = read(page_of(None))
    assert "equipoise_envoy_up" not in before or not before["equipoise_envoy_up"].samples
    assert "equipoise_listener_connections_total" not in before
    down = read(page_of(looked(is_up=False, packets_are_counted=False)))
    assert values(down["equipoise_envoy_up"]) == {("local",): 0}
    assert "equipoise_listener_open_connections" not in down
    assert "equipoise_listener_received_packets_total" not in down
    assert values(down["equipoise_listener_connections_total"])["网",] == 9


def test_a_database_that_is_down_is_told_and_does_not_hide_the_rest() -> None:
    found = read("".join(MetricsPage("local", lambda: None, lambda: 0).lines(None)))
    assert found["equipoise_database_up"].samples[0].value == 0
    assert found["process_cpu_seconds_total"].samples[0].value > 0


def moved(status: JobStatus, elapsed: int) -> JobMoved:
    return JobMoved("j", JobType.CREATE_MEMBER, status, "p", LB, 1, "r", elapsed)


def test_jobs_are_counted_by_type_and_state_and_timed_at_their_end() -> None:
    jobs = JobFigures()
    jobs.follow([moved(JobStatus.INIT, 0), moved(JobStatus.RUNNING, 5), moved(JobStatus.SUCCESS, 30)])
    jobs.follow([moved(JobStatus.INIT, 0), moved(JobStatus.FAIL, 400_000)])
    kind = JobType.CREATE_MEMBER.value
    found = read("".join(jobs.lines({(kind, "INIT"): 2})))
    assert values(found["equipoise_unfinished_jobs"])["INIT", kind] == 2
    assert values(found["equipoise_unfinished_jobs"])["RUNNING", kind] == 0
    assert values(found["equipoise_jobs_total"]) == {
        ("INIT", kind): 2,
        ("RUNNING", kind): 1,
        ("SUCCESS", kind): 1,
        ("FAIL", kind): 1,
    }
    times = found["equipoise_job_duration_seconds"]
    buckets = values(times, f"{times.name}_bucket")
    assert (buckets["SUCCESS", "0.025", kind], buckets["SUCCESS", "0.05", kind]) == (0, 1)
    assert (buckets["FAIL", "300", kind], buckets["FAIL", "+Inf", kind]) == (0, 1)


def test_the_stream_tells_pushes_acceptances_refusals_and_how_far_a_node_is_behind() -> None:
    stream = StreamFigures()
    stream.connected("n", [LB])
    stream.published([LB, DNS])
    stream.pushed("n", CLUSTER, "1", 3)
    stream.answered("n", CLUSTER, "", accepted=True)
    stream.answered("n", CLUSTER, "1", accepted=True)
    stream.pushed("n", CLUSTER, "2", 1)
    stream.answered("n", CLUSTER, "2", accepted=False)
    stream.confirmed("n", [LB])

    found = read("".join(stream.lines()))
    prefix = "equipoise_control_stream"
    assert values(found[f"{prefix}_connected"]) == {("n",): 1}
    assert values(found[f"{prefix}_pushes_total"]) == {("n", "cluster"): 2}
    assert values(found[f"{prefix}_resources_total"]) == {("n", "cluster"): 4}
    assert values(found[f"{prefix}_acks_total"]) == {("n", "cluster"): 1}
    assert values(found[f"{prefix}_refusals_total"]) == {("n", "cluster"): 1}
    assert values(found[f"{prefix}_answer_seconds"], f"{prefix}_answer_seconds_count") == {("n",): 2}
    assert values(found[f"{prefix}_behind"]) == {("n",): 1}
    assert values(found[f"{prefix}_lag_seconds"])["n",] > 0

    stream.confirmed("n", [DNS])
    stream.disconnected("n")
    found = read("".join(stream.lines()))
    assert values(found[f"{prefix}_lag_seconds"]) == {("n",): 0}
    assert values(found[f"{prefix}_connected"]) == {("n",): 0}


def test_a_value_on_a_bound_is_within_it() -> None:
    durations = Durations(Family("f", "histogram", ("a",), "h", (0.1, 0.2)))
    durations.add("x", seconds=0.1)
    assert 'f_bucket{a="x",le="0.1"} 1\n' in "".join(durations.lines())


def test_every_family_is_named_by_the_conventions_and_has_help() -> None:
    for each in families.families():
        assert each.name.startswith(("equipoise_", "process_"))
        assert each.name.endswith("_total") == (each.kind == "counter")
        # In OpenMetrics a counter bears its name without the ending.
        assert each.name.removesuffix("_total") not in {one.name for one in families.families()} - {each.name}
        assert bool(each.bounds) == (each.kind == "histogram")
        assert each.help.endswith(".")


def test_the_reference_page_is_the_one_in_the_repository() -> None:
    assert Path("docs/reference/metrics.md").read_text("utf-8") == metrics_reference()


def test_a_token_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "metrics.token"
    token = read_or_make(path)
    assert len(token) >= 32
    assert read_or_make(path) == token
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "short", "two words of some length", "x" * 257])
def test_a_file_that_holds_no_token_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t"
    path.write_text(content)
    with pytest.raises(MetricsTokenError, match=str(path)):
        read_or_make(path)


def test_nothing_but_the_families_of_the_table_is_on_the_page() -> None:
    named: Iterable[str] = read(page_of(looked()))
    assert set(named) <= {each.name for each in families.families()}


def test_without_a_node_nothing_is_said_of_envoy() -> None:
    found = "".join(MetricsPage().lines({}))
    assert "equipoise_build_info" in found
    assert "equipoise_envoy_up" not in found
    assert 'node="' not in found
