"""What is known of members is not lost where Envoy is too busy to tell, nor where a defect ends the telling."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from equipoise.node.admin import AdminUnavailableError, EnvoyAdmin
from equipoise.node.telemetry.health import HealthObserver
from equipoise.proxy.link import Member
from stand import PATIENCE

LEVEL = "pool::10.0.0.1:80::health_flags::/failed_active_hc\n"


class Admin(EnvoyAdmin):
    """Answers with what it is given, one after the other, and with the level after that."""

    def __init__(self, *answers: str | Exception) -> None:
        self._answers = list(answers)

    async def read(self, _path: str) -> str:
        answer = self._answers.pop(0) if self._answers else LEVEL
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_level_that_envoy_does_not_tell_at_once_is_asked_for_again(tmp_path: Path) -> None:
    heard: asyncio.Queue[Mapping[Member, bool]] = asyncio.Queue()
    away = AdminUnavailableError("busy")
    observer = HealthObserver(tmp_path / "events", Admin(LEVEL, away, away), heard.put_nowait)
    await observer.start()
    async with asyncio.timeout(PATIENCE):
        assert await heard.get() == {("pool", "10.0.0.1"): False}
        observer.tell_again()
        assert await heard.get() == {("pool", "10.0.0.1"): False}
    await observer.stop()


async def test_a_defect_that_ends_it_is_told(tmp_path: Path) -> None:
    observer = HealthObserver(tmp_path / "events", Admin("", ValueError("a defect")), lambda _: None)
    await observer.start()
    observer.tell_again()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ValueError, match="a defect"):
            await observer.failed()
    await observer.stop()
