"""Services on one PostgreSQL tell their operator which of their settings differ."""

from structlog.testing import capture_logs

from equipoise.controller.settings_check import SettingsCheck
from equipoise.settings.table import Settings
from tests.store.controller_stand import open_database


async def differences(check: SettingsCheck) -> list[tuple[str, str, str]]:
    with capture_logs() as logs:
        await check.compare()
    return [(each["setting"], each["here"], each["there"]) for each in logs if each["event"] == "settings_differ"]


async def test_each_setting_that_differs_is_told_once_by_name(server_url: str) -> None:
    async with open_database(server_url) as database:
        here = SettingsCheck(database, "here", {"quotas.elb": "10", "jobs.time_limit": "300"})
        there = SettingsCheck(database, "there", {"quotas.elb": "20", "jobs.time_limit": "300"})
        assert await differences(here) == []
        assert await differences(there) == [("quotas.elb", "20", "10")]
        assert await differences(here) == [("quotas.elb", "10", "20")]
        assert await differences(here) == []


async def test_what_only_a_newer_version_knows_is_no_difference(server_url: str) -> None:
    async with open_database(server_url) as database:
        assert await differences(SettingsCheck(database, "newer", {"quotas.elb": "10", "quotas.pool": "5"})) == []
        assert await differences(SettingsCheck(database, "older", {"quotas.elb": "10"})) == []


async def test_a_service_that_has_ended_is_compared_no_longer(server_url: str) -> None:
    async with open_database(server_url) as database:
        ended = SettingsCheck(database, "ended", {"quotas.elb": "20"})
        ended.start()
        await ended.compare()
        await ended.stop()
        assert await differences(SettingsCheck(database, "here", {"quotas.elb": "10"})) == []


def test_what_is_compared_is_what_the_outcome_of_a_request_depends_on() -> None:
    compared = Settings().shared()
    assert {"addresses.external", "quotas.elb", "jobs.time_limit", "members.slow_start"} <= compared.keys()
    # Where a service listens, logs and keeps its files is its own.
    assert not {"database.url", "log.level", "http.gateway_secret", "certificates.key_file"} & compared.keys()
