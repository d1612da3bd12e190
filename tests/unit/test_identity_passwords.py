"""Passwords: right or wrong, off the event loop, not too many at a time."""

import asyncio
import threading
from statistics import median
from time import perf_counter

import pytest

from equipoise.identity.passwords import Passwords


async def test_only_the_right_password_matches() -> None:
    passwords = Passwords()
    encoded = passwords.hash("correct horse")
    assert encoded.startswith("$argon2id$")
    assert await passwords.verify(encoded, "correct horse")
    assert not await passwords.verify(encoded, "hunter2")
    assert not await passwords.verify(None, "hunter2")


async def test_without_a_hash_a_check_takes_as_long_as_with_one() -> None:
    passwords = Passwords()
    encoded = passwords.hash("correct horse")

    async def seconds(candidate: str | None) -> float:
        start = perf_counter()
        await passwords.verify(candidate, "hunter2")
        return perf_counter() - start

    with_hash, without = [], []
    for _ in range(7):
        with_hash.append(await seconds(encoded))
        without.append(await seconds(None))
    assert median(without) > 0.5 * median(with_hash)


async def test_no_more_hashes_than_allowed_are_computed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(parallel=2)
    lock, running, most = threading.Lock(), 0, 0
    real = passwords._matches

    def counted(encoded: str, password: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return real(encoded, password)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(passwords, "_matches", counted)
    await asyncio.gather(*(passwords.verify(None, "x") for _ in range(8)))
    assert most <= 2
