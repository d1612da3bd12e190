"""What is made of answers of the admin socket; a server of this test answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from equipoise.node import admin
from equipoise.node.admin import AdminUnavailableError, EnvoyAdmin

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


@asynccontextmanager
async def answering(folder: Path, *parts: bytes, stays: bool = False) -> AsyncIterator[EnvoyAdmin]:
    """A server that sends these parts one by one, whatever is asked, and hangs up or `stays`."""
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        if stays:
            await over.wait()
        writer.close()

    path = folder / "admin.sock"
    async with await asyncio.start_unix_server(answer, path):
        yield EnvoyAdmin(path)
        over.set()


async def test_lines_arrive_whole_wherever_the_answer_is_cut(tmp_path: Path) -> None:
    lines = "".join(f"figure {number}: ü\n" for number in range(30_000))
    sent = lines.encode()
    chunks = [chunk(sent[at : at + 50_001]) for at in range(0, len(sent), 50_001)]
    async with answering(tmp_path, HEAD, *chunks, chunk(b""), stays=True) as envoy:
        pieces = [piece async for piece in envoy.pieces("/stats")]
    assert "".join(pieces) == lines
    assert len(pieces) > 1
    assert all(piece.endswith("\n") for piece in pieces)


async def test_a_last_line_without_an_end_is_not_lost(tmp_path: Path) -> None:
    async with answering(tmp_path, HEAD, chunk(b"a\nb"), chunk(b""), stays=True) as envoy:
        assert await envoy.read("/") == "a\nb"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((HEAD, chunk(b"a\n")), "hung up"),
        ((), "hung up"),
        ((b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",), "503"),
        ((b"no HTTP at all\r\n\r\n",), "HTTP"),
    ],
)
async def test_an_answer_that_is_not_whole_or_good_is_none(
    tmp_path: Path, parts: tuple[bytes, ...], reason: str
) -> None:
    async with answering(tmp_path, *parts) as envoy:
        with pytest.raises(AdminUnavailableError, match=reason):
            await envoy.read("/stats")


async def test_who_says_nothing_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_TIMEOUT_SECONDS", 0.05)
    async with answering(tmp_path, HEAD, stays=True) as envoy:
        with pytest.raises(AdminUnavailableError, match="nothing for"):
            await envoy.read("/stats")


async def test_where_nobody_listens_is_no_envoy(tmp_path: Path) -> None:
    with pytest.raises(AdminUnavailableError, match="No such file"):
        await EnvoyAdmin(tmp_path / "admin.sock").read("/stats")
