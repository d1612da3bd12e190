"""The HTTP server: listens, hands connections to the application, and stops without losing an answer.

It runs inside the event loop of the service, next to everything else: uvicorn's connection handling is used, its
process management (signals, logging, reloading) is not.
"""

import asyncio
import errno
import socket
from email.utils import formatdate
from typing import Final

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from equipoise.http.errors import Renderer
from equipoise.http.protocol import GuardedProtocol, HeadLimits

BACKLOG: Final = 2048

_WHAT_TO_DO: Final = {
    errno.EADDRINUSE: "another program listens there: stop it, or choose another port",
    errno.EACCES: "this user may not listen on a port below 1024: choose another one",
    errno.EADDRNOTAVAIL: "this machine has no such address: choose one of its own, such as 127.0.0.1",
}
_LOOPBACK_OF: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class ListenError(Exception):
    """The server cannot listen on its address and port; the message says why, and what to do."""


class HttpServer:
    """Serves one application on one address.

    Args:
        app: the ASGI application. Its lifespan is not run: whoever starts this also starts what the application needs.
        host: the address, or a name of it, to listen on.
        port: 0 takes any free one; after `start`, `port` and `url` tell which.
        render: makes the answers to what is refused before it reaches the application.
        limits: what a client may take.
    """

    def __init__(
        self, app: ASGIApp, host: str, port: int, *, render: Renderer, limits: HeadLimits | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._render = render
        self._limits = HeadLimits() if limits is None else limits
        self._config = Config(
            app,
            interface="asgi3",
            loop="none",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=self._limits.keep_alive_seconds,
        )
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._connection_lost = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def url(self) -> str:
        """Where a client on this machine reaches the server, without a slash at the end."""
        host = _LOOPBACK_OF.get(self._host, self._host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises ListenError."""
        if not self._config.loaded:
            self._config.load()
        try:
            listening = _listening_socket(self._host, self._port)
        except OSError as fault:
            what_to_do = _WHAT_TO_DO.get(fault.errno or 0, fault.strerror or str(fault))
            raise ListenError(f"Cannot listen on {self._host} port {self._port}: {what_to_do}.") from fault
        self._server = await asyncio.get_running_loop().create_server(
            self._new_connection, sock=listening, backlog=BACKLOG
        )
        self._port = listening.getsockname()[1]
        self._tell_the_time()

    async def stop(self, grace: float) -> None:
        """Take no more connections, let answers under way end, and break off what is left after `grace` seconds."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        if self._clock is not None:
            self._clock.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(grace):
                await self._drained()
        except TimeoutError:
            await self._break_off()

    def _new_connection(self) -> GuardedProtocol:
        return GuardedProtocol(self._config, self._state, self._limits, self._render, self._connection_lost.set)

    def _tell_the_time(self) -> None:
        """Keep the Date header right, which an origin server sends (RFC 9110, section 6.6.1)."""
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode("ascii"))]
        self._clock = asyncio.get_running_loop().call_later(1.0, self._tell_the_time)

    async def _drained(self) -> None:
        await self._disconnected()
        while self._state.tasks:
            await asyncio.wait(set(self._state.tasks))

    async def _disconnected(self) -> None:
        while self._state.connections:
            self._connection_lost.clear()
            await self._connection_lost.wait()

    async def _break_off(self) -> None:
        for connection in list(self._state.connections):
            connection.transport.abort()
        # First the connections, so that a handler that is cancelled finds nobody to answer to.
        await self._disconnected()
        for task in set(self._state.tasks):
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)


def _listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on the address. Raises OSError, and leaves nothing open then."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A restart must not wait until the kernel has forgotten the connections of before.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
