"""Two small HTTP servers to balance between. They say who they are, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from string import ascii_uppercase

from equipoise.cli.demonstration.failure import DemoFailed

_HEAD_SECONDS = 30.0


@asynccontextmanager
async def running_backends(addresses: Sequence[str], port: int) -> AsyncIterator[dict[str, str]]:
    """Serve on each address until the block ends; yields what each answers, by address.

    Raises:
        DemoFailed: an address and port cannot be listened on.
    """
    names = zip(addresses, ascii_uppercase[: len(addresses)], strict=True)
    texts = {address: f"backend {letter} at {address}" for address, letter in names}
    async with AsyncExitStack() as servers:
        for address, text in texts.items():
            await servers.enter_async_context(await _serve(address, port, text))
        yield texts


async def _serve(address: str, port: int, text: str) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(_response(text, with_body=not head.startswith(b"HEAD ")))
            await writer.drain()
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # no request, or nobody who waits for the answer
        finally:
            writer.close()

    try:
        return await asyncio.start_server(answer, address, port)
    except OSError as error:
        raise DemoFailed(
            f"A backend cannot listen on {address}:{port}: {error.strerror}.",
            "See that the loopback interface is up with all of 127.0.0.0/8 (it is on Linux), then start again.",
        ) from error


def _response(text: str, *, with_body: bool) -> bytes:
    body = f"{text}\n".encode()
    # One request a connection: what may follow the head (a body) then needs no reading.
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (body if with_body else b"")
