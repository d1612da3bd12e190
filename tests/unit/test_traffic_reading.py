"""What Envoy's counters say of listeners and members."""

import pytest

from equipoise.node.telemetry.traffic_reading import (
    ListenerCounts,
    MemberCounts,
    MemberStatistics,
    Statistics,
    since,
    since_of_member,
)

HTTP, TCP, UDP = "a" * 32, "b" * 32, "c" * 32

STATISTICS = f"""\
# TYPE envoy_cluster_{UDP}_upstream_cx_overflow counter
envoy_cluster_{UDP}_upstream_cx_overflow{{}} 6
# TYPE envoy_http_{HTTP}_downstream_cx_rx_bytes_total counter
envoy_http_{HTTP}_downstream_cx_rx_bytes_total{{}} 100
envoy_http_{HTTP}_downstream_cx_tx_bytes_total{{}} 2000
envoy_http_{HTTP}_downstream_cx_total{{}} 7
envoy_http_{HTTP}_downstream_rq_2xx{{}} 8
envoy_http_{HTTP}_downstream_rq_5xx{{}} 1
envoy_http_{HTTP}_downstream_rq_active{{}} 1
# TYPE envoy_http_{HTTP}_downstream_rq_time histogram
envoy_http_{HTTP}_downstream_rq_time_bucket{{le="5"}} 3
envoy_http_{HTTP}_downstream_rq_time_bucket{{le="25"}} 6
envoy_http_{HTTP}_downstream_rq_time_bucket{{le="100"}} 6
envoy_http_{HTTP}_downstream_rq_time_bucket{{le="500"}} 8
envoy_http_{HTTP}_downstream_rq_time_bucket{{le="2500"}} 8
envoy_http_{HTTP}_downstream_rq_time_bucket{{le="10000"}} 8
envoy_http_{HTTP}_downstream_rq_time_bucket{{le="+Inf"}} 9
envoy_http_{HTTP}_downstream_rq_time_sum{{}} 11194.605199966451158388736075722
envoy_http_{HTTP}_downstream_rq_time_count{{}} 9
envoy_http_admin_downstream_cx_total{{}} 1
envoy_listener_admin_downstream_cx_active{{}} 1
envoy_listener_{HTTP}_downstream_cx_active{{}} 3
envoy_listener_{HTTP}_downstream_cx_total{{}} 7
envoy_listener_{TCP}_downstream_cx_active{{}} 4
envoy_listener_{TCP}_downstream_cx_total{{}} 40
envoy_listener_{TCP}_downstream_global_cx_overflow{{}} 5
envoy_tcp_{TCP}_downstream_cx_rx_bytes_total{{}} 11
envoy_tcp_{TCP}_downstream_cx_tx_bytes_total{{}} 12
envoy_udp_{UDP}_downstream_sess_active{{}} 2
envoy_udp_{UDP}_downstream_sess_rx_bytes{{}} 21
envoy_udp_{UDP}_downstream_sess_total{{}} 5
envoy_udp_{UDP}_downstream_sess_tx_bytes{{}} 22
"""

MEMBERS = f"""\
{HTTP}::observability_name::{HTTP}
{HTTP}::default_priority::max_connections::1000000
{HTTP}::127.0.0.9:80::cx_active::1
{HTTP}::127.0.0.9:80::cx_connect_fail::2
{HTTP}::127.0.0.9:80::cx_total::3
{HTTP}::127.0.0.9:80::rq_active::4
{HTTP}::127.0.0.9:80::rq_error::5
{HTTP}::127.0.0.9:80::rq_pending_active::6
{HTTP}::127.0.0.9:80::rq_success::7
{HTTP}::127.0.0.9:80::rq_timeout::8
{HTTP}::127.0.0.9:80::rq_total::9
{HTTP}::127.0.0.9:80::hostname::
equipoise::observability_name::equipoise
equipoise::xds.sock::cx_active::1
equipoise::xds.sock::cx_connect_fail::0
"""


def from_statistics(*pieces: str) -> dict[str, ListenerCounts]:
    statistics = Statistics()
    for piece in pieces:
        statistics.add(piece)
    return statistics.counts()


def from_members(*pieces: str) -> dict[tuple[str, str], MemberCounts]:
    members = MemberStatistics()
    for piece in pieces:
        members.add(piece)
    return members.counts()


def test_connections_requests_and_bytes_are_read_for_every_protocol() -> None:
    assert from_statistics(STATISTICS) == {
        HTTP: ListenerCounts(
            active=1,
            idle=2,
            connections=7,
            in_bytes=100,
            out_bytes=2000,
            answers_2xx=8,
            answers_5xx=1,
            within_5=3,
            within_25=6,
            within_100=6,
            within_500=8,
            within_2500=8,
            within_10000=8,
            timed=9,
            milliseconds=11194,
        ),
        TCP: ListenerCounts(active=4, idle=0, connections=40, refused=5, in_bytes=11, out_bytes=12),
        UDP: ListenerCounts(active=2, idle=0, connections=5, refused=6, in_bytes=21, out_bytes=22),
    }


def test_http_connections_without_a_request_are_idle_and_many_requests_of_one_connection_count_once() -> None:
    text = f"envoy_listener_{HTTP}_downstream_cx_active{{}} 2\nenvoy_http_{HTTP}_downstream_cx_total{{}} 2\n"
    assert from_statistics(text)[HTTP] == ListenerCounts(active=0, idle=2)
    several = from_statistics(f"{text}envoy_http_{HTTP}_downstream_rq_active{{}} 9\n")[HTTP]
    assert (several.active, several.idle) == (2, 0)


@pytest.mark.parametrize("text", ["", "nonsense", f"envoy_listener_{TCP}_downstream_cx_active{{}} x\n"])
def test_what_is_no_figure_says_nothing(text: str) -> None:
    assert from_statistics(text) == {}
    assert from_members(text) == {}


def test_the_growth_of_counters_counts_and_the_level_of_connections() -> None:
    before = ListenerCounts(active=1, idle=2, connections=10, in_bytes=100, out_bytes=200, in_packets=3, out_packets=4)
    after = ListenerCounts(active=5, idle=6, connections=13, in_bytes=150, out_bytes=201, in_packets=3, out_packets=14)
    grown = ListenerCounts(active=5, idle=6, connections=3, in_bytes=50, out_bytes=1, in_packets=0, out_packets=10)
    assert since(before, after) == grown


def test_counters_that_began_anew_give_no_negative_growth() -> None:
    before = ListenerCounts(connections=1000, in_bytes=1000, out_bytes=1000, in_packets=9, out_packets=9)
    assert since(before, ListenerCounts(connections=3, in_bytes=30)) == ListenerCounts(connections=3, in_bytes=30)


def test_when_one_counter_of_envoy_began_anew_all_of_that_listener_did() -> None:
    before = ListenerCounts(connections=10, answers_2xx=2, within_5=1, timed=2)
    after = ListenerCounts(connections=4, answers_2xx=3, within_5=2, timed=3)
    assert since(before, after) == after


def test_packets_go_on_when_envoy_begins_anew() -> None:
    before = ListenerCounts(connections=10, in_packets=100, out_packets=100)
    after = ListenerCounts(connections=1, in_packets=107, out_packets=102)
    assert since(before, after) == ListenerCounts(connections=1, in_packets=7, out_packets=2)


def test_what_members_were_given_is_read() -> None:
    figures = MemberCounts(
        active=1, active_requests=4, connections=3, failed_connections=2, requests=9, successful_requests=7
    )
    assert from_members(MEMBERS) == {(HTTP, "127.0.0.9"): figures}


def test_it_does_not_matter_where_a_text_is_cut_into_pieces() -> None:
    several = MEMBERS + MEMBERS.replace(HTTP, TCP).replace("127.0.0.9", "127.0.0.10")
    whole = from_members(several)
    assert len(whole) == 2
    lines = several.splitlines(keepends=True)
    for cut in range(len(lines)):
        assert from_members("".join(lines[:cut]), "".join(lines[cut:])) == whole
    assert from_members(*lines) == whole
    assert from_statistics(*STATISTICS.splitlines(keepends=True)) == from_statistics(STATISTICS)


def test_members_that_began_anew_give_no_negative_growth() -> None:
    before = MemberCounts(active=1, active_requests=0, connections=8, requests=8)
    after = MemberCounts(active=2, active_requests=1, connections=3, requests=9)
    assert since_of_member(before, after) == after
    more = MemberCounts(active=0, active_requests=0, connections=10, requests=8)
    assert since_of_member(before, more) == MemberCounts(connections=2)
