"""Settings: where they come from, which one wins, and what is said about a wrong one."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from equipoise.settings.load import SettingsError, load, secret_overrides
from equipoise.settings.reference import settings_reference
from equipoise.settings.table import Settings

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def problems_of(*overrides: str, config: Path | None = None, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        load(config, environ, overrides)
    return str(error.value)


def written(folder: Path, text: str) -> Path:
    path = folder / "equipoise.toml"
    path.write_text(text)
    return path


def test_the_defaults_are_usable_as_they_are() -> None:
    settings = load()
    assert settings == Settings()
    assert settings.addresses.external == IPv4Network("127.77.0.0/16")
    assert settings.api.sync_wait == 2.0
    assert settings.database.url == ""


def test_a_later_source_wins(tmp_path: Path) -> None:
    config = written(tmp_path, "[quotas]\nelb = 1\nlistener = 1\nmember = 1\n")
    environ = {"EQUIPOISE_QUOTAS_LISTENER": "2", "EQUIPOISE_QUOTAS_MEMBER": "2", "PATH": "ignored"}
    quotas = load(config, environ, ["quotas.member=3"]).quotas
    assert (quotas.elb, quotas.listener, quotas.member) == (1, 2, 3)


def test_every_type_is_read_from_a_text_and_from_toml(tmp_path: Path) -> None:
    config = written(
        tmp_path, '[addresses]\nexternal = "10.1.0.0/16"\n[api]\nsync_wait = 3\n[log]\nformat = "console"\n'
    )
    from_file = load(config)
    from_text = load(overrides=["addresses.external=10.1.0.0/16", "api.sync_wait=3", "log.format=console"])
    assert from_file == from_text
    assert isinstance(from_file.api.sync_wait, float)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("api.sync_wait=soon", "--set: api.sync_wait must be a number, 0 to 60; 'soon' is not."),
        ("api.sync_wait=nan", "a number, 0 to 60"),
        ("api.sync_wait=-1", "a number, 0 to 60"),
        ("quotas.elb=1.5", "a whole number, 1 to 1000000"),
        ("quotas.elb=0", "a whole number, 1 to 1000000"),
        ("log.level=loud", "one of debug, info, warning, error"),
        ("addresses.external=127.0.0.1", "CIDR"),
        ("addresses.external=127.77.0.1/16", "CIDR"),
        ("addresses.external=::/64", "CIDR"),
        ("identity.region=a_b", "letters, digits and hyphens"),
        ("database.url=mysql://h/d", "sqlite:// or postgresql://"),
    ],
)
def test_a_bad_value_is_told_with_name_value_and_what_is_allowed(override: str, told: str) -> None:
    assert told in problems_of(override)


@pytest.mark.parametrize("value", ["true", "[1]", "1" + "0" * 400, '"x"', "{a = 1}", "1979-05-27"])
def test_a_value_of_the_wrong_type_in_a_file_is_told(tmp_path: Path, value: str) -> None:
    told = problems_of(config=written(tmp_path, f"[api]\nsync_wait = {value}\n[quotas]\nelb = {value}\n"))
    assert "api.sync_wait must be a number" in told
    assert "quotas.elb must be a whole number" in told


def test_an_unknown_name_is_told_with_its_neighbours(tmp_path: Path) -> None:
    assert "there is no setting quota.elb. Near it: quotas.elb" in problems_of("quota.elb=5")
    assert "There are: addresses.external" in problems_of("zzz=5")
    assert "Near it: EQUIPOISE_API_SYNC_WAIT" in problems_of(environ={"EQUIPOISE_API_SYNCWAIT": "1"})
    assert "there is no setting quotas.lb" in problems_of(config=written(tmp_path, "[quotas]\nlb = 1\n"))
    assert "there is no setting elb" in problems_of(config=written(tmp_path, "elb = 1\n"))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert len(problems_of("quotas.elb=0", "quotas.member=0", "nonsense").splitlines()) == 3


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert "No such file" in problems_of(config=tmp_path / "missing.toml")
    assert "is not TOML" in problems_of(config=written(tmp_path, "["))


PROJECT = "0" * 31 + "1"


def test_a_project_can_have_quotas_of_its_own_from_every_source(tmp_path: Path) -> None:
    config = written(tmp_path, f"[quotas]\nlistener = 7\n[quotas.projects.{PROJECT}]\nelb = 5\n")
    text = f'{{"{PROJECT}": {{"elb": 5}}}}'
    for settings in (
        load(config),
        load(overrides=["quotas.listener=7", f"quotas.projects={text}"]),
        load(environ={"EQUIPOISE_QUOTAS_LISTENER": "7", "EQUIPOISE_QUOTAS_PROJECTS": text}),
    ):
        (own,) = settings.quotas.projects
        quotas = settings.quotas.of_project(own)
        assert own.project_id == PROJECT
        assert (quotas.elb, quotas.listener, quotas.member) == (5, 7, 1000)


@pytest.mark.parametrize(
    "value",
    ["5", "{", "[]", '{"a": 5}', '{"a": {}}', '{"a": {"lb": 5}}', '{"a": {"elb": 0}}', '{"a": {"elb": true}}'],
)
def test_quotas_of_a_project_that_make_no_sense_are_told(value: str) -> None:
    assert "quotas.projects must be project ids" in problems_of(f"quotas.projects={value}")


def test_variables_that_a_cluster_adds_by_itself_are_ignored() -> None:
    environ = {"EQUIPOISE_SERVICE_HOST": "10.0.0.1", "EQUIPOISE_PORT": "tcp://x", "EQUIPOISE_PORT_80_TCP_ADDR": "x"}
    assert load(environ=environ) == Settings()


def test_pools_that_overlap_are_refused() -> None:
    assert "must not overlap" in problems_of("addresses.internal=127.77.128.0/17")


def test_the_hard_mark_is_above_the_busy_mark() -> None:
    assert "jobs.hard_mark (5)" in problems_of("jobs.busy_mark=5", "jobs.hard_mark=5")
    assert load(overrides=["jobs.busy_mark=0", "jobs.hard_mark=5"]).jobs.hard_mark == 5


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:hunter2@db:5432/x", "postgresql://user:***@db:5432/x"),
        ("postgresql://user:hunter2/@:?@db/x", "postgresql://user:***@db/x"),
        ("postgresql://db/x?user=u&password=hunter2&a=b", "postgresql://db/x?user=u&password=***&a=b"),
        ("postgresql+psycopg://user@db/x", "postgresql+psycopg://user@db/x"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
    ],
)
def test_the_password_of_the_database_is_never_shown(url: str, shown: str) -> None:
    settings = load(overrides=[f"database.url={url}"])
    assert settings.database.url == url
    assert settings.database.redacted_url == settings.shown()["database.url"] == shown
    assert url not in repr(settings)


def test_a_bad_secret_is_not_quoted() -> None:
    assert "hunter2" not in problems_of("database.url=mysql://u:hunter2@h/d")
    assert "hunter2" not in problems_of(environ={"EQUIPOISE_DATABASE_URI": "mysql://u:hunter2@h/d"})


def test_the_reference_page_is_up_to_date() -> None:
    assert REFERENCE.read_text() == settings_reference(), "run: make docs"


NETWORKS = """
[networks.vpcs.vpc-1.subnets]
subnet-1 = "127.78.1.0/24"
subnet-2 = "127.78.2.0/24"

[networks.vpcs.vpc-2]
"""


def test_networks_are_read_from_toml_and_from_json(tmp_path: Path) -> None:
    from_file = load(written(tmp_path, NETWORKS))
    text = '{"vpc-1": {"subnets": {"subnet-1": "127.78.1.0/24", "subnet-2": "127.78.2.0/24"}}, "vpc-2": {}}'
    assert from_file == load(environ={"EQUIPOISE_NETWORKS_VPCS": text})
    assert from_file.networks.vpcs.subnets["vpc-1"]["subnet-2"] == IPv4Network("127.78.2.0/24")
    assert from_file.shown()["networks.vpcs"] == (
        "vpc-1: subnet-1 127.78.1.0/24, subnet-2 127.78.2.0/24; vpc-2: no subnet"
    )


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        '{"vpc 1": {}}',
        '{"vpc-1": []}',
        '{"vpc-1": {"subnet": {}}}',
        '{"vpc-1": {"subnets": []}}',
        '{"vpc-1": {"subnets": {"s": "10.0.0.1"}}}',
    ],
)
def test_networks_of_another_form_are_refused(text: str) -> None:
    assert "networks.vpcs must be VPCs by id" in problems_of(f"networks.vpcs={text}")


def test_pools_must_not_overlap_whatever_their_vpc() -> None:
    text = '{"a": {"subnets": {"s": "10.0.0.0/24"}}, "b": {"subnets": {"t": "10.0.0.128/25", "u": "127.77.1.0/24"}}}'
    told = problems_of(f"networks.vpcs={text}")
    assert "networks.vpcs.b.subnets.t (10.0.0.128/25) must not overlap networks.vpcs.a.subnets.s (10.0.0.0/24)." in told
    assert "networks.vpcs.b.subnets.u (127.77.1.0/24) must not overlap addresses.external (127.77.0.0/16)." in told


def test_the_secret_of_the_gateway_is_never_shown() -> None:
    secret = "correct-horse-battery"
    settings = load(environ={"EQUIPOISE_HTTP_GATEWAY_SECRET": secret})
    assert settings.http.gateway_secret == secret
    assert settings.shown()["http.gateway_secret"] == "***"
    assert secret not in repr(settings)
    assert Settings().shown()["http.gateway_secret"] == ""
    assert "hunter2" not in problems_of(environ={"EQUIPOISE_HTTP_GATEWAY_SECRET": "hunter2"})


def test_a_secret_is_refused_on_the_command_line_with_the_other_ways_to_give_it() -> None:
    told = problems_of("http.gateway_secret=correct-horse-battery")
    assert "--set: http.gateway_secret is a secret" in told
    assert "EQUIPOISE_HTTP_GATEWAY_SECRET" in told
    assert "--config" in told
    assert "horse" not in told


def test_overrides_with_a_password_are_told_from_others() -> None:
    public = ["api.sync_wait=5", "database.url=postgresql://u@h/d", "no.setting=//u:p@h"]
    assert secret_overrides(public) == {}
    first, last = "database.url=sqlite:////a", "database.url=postgresql://u:hunter2@h/d"
    in_environment = ("EQUIPOISE_DATABASE_URL", "postgresql://u:hunter2@h/d")
    # Both, or the first one would win over the environment.
    assert secret_overrides([*public[:1], first, last]) == {first: in_environment, last: in_environment}
    assert secret_overrides([last, first])[last] == ("EQUIPOISE_DATABASE_URL", "sqlite:////a")


@pytest.mark.parametrize("given", ["", "*", "0" * 32, f"{'0' * 32}, {'a' * 32}"])
def test_listeners_with_an_access_log_are_none_all_or_those_named(given: str) -> None:
    listeners = load(overrides=[f"access_log.listeners={given}"]).access_log.listeners
    assert listeners.names("0" * 32) == (given != "")
    assert listeners.names("b" * 32) == (given == "*")
    assert str(listeners) == given.replace(" ", "")


@pytest.mark.parametrize("given", ["all", "*,*", f"*,{'0' * 32}", "0" * 31, "A" * 32, f"{'0' * 32},"])
def test_what_is_no_id_of_a_listener_is_refused(given: str) -> None:
    assert "access_log.listeners must be" in problems_of(f"access_log.listeners={given}")
