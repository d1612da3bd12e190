"""Members: HTTP servers on addresses of their own."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stand.addresses import first_addresses, free_port, unused_network
from stand.waiting import PATIENCE


class Backend:
    """An HTTP server that answers with its own address and counts requests; TCP works through it as well.

    `/health` fails while not `healthy`, and for the next `failing_checks`; `/held` answers once `release` is set.
    """

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.requests = 0
        self.healthy = True
        self.failing_checks = 0
        self.checks = 0
        self.held = 0
        self.release = threading.Event()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two writes: without this the second one waits 40 ms on a kept connection.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                if self.path == "/health":
                    self._answer(200 if backend.passes_check() else 500, "health")
                    return
                backend.requests += 1
                if self.path == "/held":
                    backend.held += 1
                    backend.release.wait(PATIENCE)
                self._answer(200, backend.address)

            def _answer(self, status: int, text: str) -> None:
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Seen-From", self.headers.get("X-Forwarded-For", ""))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                # A client that goes away in the middle is part of some tests, not a fault of the backend.
                pass

        self._server = Server((address, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def passes_check(self) -> bool:
        """Whether one health check passes: not while unhealthy, nor for as many as are to fail."""
        self.checks += 1
        self.failing_checks -= (fails := self.failing_checks > 0)
        return self.healthy and not fails

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Backends:
    """Backends on one port and addresses of their own: members of a listener share its backend port."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)
        self.port = free_port(self.addresses[0])
        self._running = {address: Backend(address, self.port) for address in self.addresses}

    def __getitem__(self, index: int) -> Backend:
        return self._running[self.addresses[index]]

    def counts(self) -> Counter[str]:
        return Counter({backend.address: backend.requests for backend in self._running.values() if backend.requests})

    def stop(self, index: int) -> None:
        self._running[self.addresses[index]].close()

    def restart(self, index: int) -> None:
        address = self.addresses[index]
        self._running[address] = Backend(address, self.port)

    def close(self) -> None:
        for backend in self._running.values():
            backend.close()


@contextmanager
def running_backends(count: int, network: str = "") -> Iterator[Backends]:
    """So many, on the first addresses of a network; by default of one that nobody uses."""
    backends = Backends(first_addresses(network or unused_network(), count))
    try:
        yield backends
    finally:
        backends.close()
