"""What Envoy's counters say of listeners."""

import pytest

from equipoise.observe.traffic_reading import Figures, from_statistics, since

HTTP, TCP, UDP = "a" * 32, "b" * 32, "c" * 32

STATISTICS = f"""\
cluster.{HTTP}.upstream_cx_active: 9
http.{HTTP}.downstream_cx_active: 3
http.{HTTP}.downstream_cx_rx_bytes_total: 100
http.{HTTP}.downstream_cx_tx_bytes_total: 2000
http.{HTTP}.downstream_rq_2xx: 8
http.{HTTP}.downstream_rq_active: 1
http.admin.downstream_cx_active: 1
listener.admin.downstream_cx_active: 1
listener.{HTTP}.downstream_cx_active: 3
listener.{HTTP}.downstream_cx_total: 7
listener.{HTTP}.http.{HTTP}.downstream_rq_2xx: 8
listener.{HTTP}.worker_0.downstream_cx_active: 2
listener.{HTTP}.worker_0.downstream_cx_total: 5
listener.{TCP}.downstream_cx_active: 4
listener.{TCP}.downstream_cx_total: 40
tcp.{TCP}.downstream_cx_rx_bytes_total: 11
tcp.{TCP}.downstream_cx_total: 40
tcp.{TCP}.downstream_cx_tx_bytes_total: 12
udp.{UDP}.downstream_sess_active: 2
udp.{UDP}.downstream_sess_rx_bytes: 21
udp.{UDP}.downstream_sess_total: 5
udp.{UDP}.downstream_sess_tx_bytes: 22
"""


def test_connections_and_bytes_are_read_for_every_protocol() -> None:
    assert from_statistics(STATISTICS) == {
        HTTP: Figures(active=1, idle=2, connections=7, in_bytes=100, out_bytes=2000),
        TCP: Figures(active=4, idle=0, connections=40, in_bytes=11, out_bytes=12),
        UDP: Figures(active=2, idle=0, connections=5, in_bytes=21, out_bytes=22),
    }


def test_http_connections_without_a_request_are_idle_and_many_requests_of_one_connection_count_once() -> None:
    text = f"listener.{HTTP}.downstream_cx_active: 2\nhttp.{HTTP}.downstream_cx_total: 2\n"
    assert from_statistics(text)[HTTP] == Figures(active=0, idle=2)
    several = from_statistics(f"{text}http.{HTTP}.downstream_rq_active: 9\n")[HTTP]
    assert (several.active, several.idle) == (2, 0)


@pytest.mark.parametrize("text", ["", "nonsense", f"listener.{TCP}.downstream_cx_active: x\n"])
def test_what_is_no_figure_says_nothing(text: str) -> None:
    assert from_statistics(text) == {}


def test_the_growth_of_counters_counts_and_the_level_of_connections() -> None:
    before = Figures(active=1, idle=2, connections=10, in_bytes=100, out_bytes=200, in_packets=3, out_packets=4)
    after = Figures(active=5, idle=6, connections=13, in_bytes=150, out_bytes=201, in_packets=3, out_packets=14)
    assert since(before, after) == Figures(5, 6, 3, 50, 1, 0, 10)


def test_counters_that_began_anew_give_no_negative_growth() -> None:
    before = Figures(connections=1000, in_bytes=1000, out_bytes=1000, in_packets=9, out_packets=9)
    assert since(before, Figures(connections=3, in_bytes=30)) == Figures(connections=3, in_bytes=30)
