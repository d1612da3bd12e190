"""Every setting of the service, in one table: name, type, default, range, help. Read once; nothing else reads them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import Field, dataclass, field, fields, replace
from ipaddress import IPv4Network
from typing import Any, Final, Literal, Self

from equipoise.core.networks import Networks
from equipoise.settings.types import (
    QUOTA,
    Choice,
    Integer,
    ListenerList,
    ListenerTuple,
    NameTuple,
    Network,
    NetworkList,
    NetworkTable,
    NetworkTuple,
    Number,
    ProjectQuotas,
    QuotasByProject,
    ReferenceList,
    Switch,
    Text,
    ValueKind,
)

_PASSWORD: Final = re.compile(r"(//[^:/?#@]*:).*@")
_SECRET_PARAMETER: Final = re.compile(r"([?&][^=&]*(?:pass|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """What the table says about one setting, beside its name and default.

    A secret one has `hide`, which makes of its value what people and logs may see.
    """

    kind: ValueKind
    help: str
    hide: Callable[[str], str] | None = None


def _setting(default: object, kind: ValueKind, text: str, *, hide: Callable[[str], str] | None = None) -> Any:
    return field(default=kind.parse(default), repr=hide is None, metadata={"row": Row(kind, text, hide)})


def _hide_password(url: str) -> str:
    """Rather too much than too little: up to the last `@`, since a password may hold any character."""
    return _SECRET_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***@", url))


def hide_all(secret: str) -> str:
    """Show of a secret only whether there is one."""
    return "***" if secret else ""


# The table. A class is a group, a line is a setting: `ApiSettings.sync_wait` is `api.sync_wait`.


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSettings:
    external: IPv4Network = _setting(  # noqa: RUF009 - makes a field, not a value
        "127.77.0.0/16", Network(), "The pool of elastic IPs, for type External."
    )
    internal: IPv4Network = _setting(  # noqa: RUF009 - makes a field, not a value
        "127.78.0.0/16", Network(), "The pool of private addresses, for type Internal. Must not overlap `external`."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    vpcs: Networks = _setting(  # noqa: RUF009 - makes a field, not a value
        "",
        NetworkTable(),
        "The VPCs and IPv4 subnets that exist. The service then accepts no others, and an Internal load balancer "
        "gets its address from the pool of its subnet. Empty: the service accepts every well-formed id, and "
        "addresses come from `addresses.internal`.",
    )
    zones: NameTuple = _setting(  # noqa: RUF009 - a field, as every setting; a tuple, as frozen as any
        "",
        ReferenceList(),
        "The availability zones that exist. An Internal load balancer with another `az` is then rejected with "
        "501. Empty: every well-formed zone is accepted. The service stores and shows it; it has no other effect.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    url: str = _setting(
        "",
        Text(r"|(sqlite|postgresql)(\+\w+)?://\S+", "empty, or a URL that begins with sqlite:// or postgresql://"),
        "Where everything is kept. Empty: SQLite in the data directory.",
        hide=_hide_password,
    )

    @property
    def redacted_url(self) -> str:
        """The URL for people and logs: passwords are replaced by `***`."""
        return _hide_password(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    sync_wait: float = _setting(
        2.0,
        Number(0, 60),
        "Seconds for which a listener, health check or certificate operation waits for the data plane before it "
        "answers with PENDING_CREATE.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSettings:
    key_file: str = _setting(
        "",
        Text(r"|/[^\0\n]+", "empty, or an absolute path"),
        "The key that encrypts private keys and other secrets in the database. Empty: `keys/certificate.key` in the "
        "data directory. Services that share a database need the same one; made when it is missing and nothing was "
        "encrypted yet.",
    )
    show_private_key: bool = _setting(
        False,
        Switch(),
        "Answer with the private keys of certificates, as published, in place of `******`.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSettings:
    elb: int = _setting(1000, QUOTA, "Load balancers in a project.")
    listener: int = _setting(100, QUOTA, "Listeners of a load balancer.")
    member: int = _setting(1000, QUOTA, "Members of a listener.")
    projects: tuple[ProjectQuotas, ...] = _setting(
        {},
        QuotasByProject(),
        "Quotas of single projects; what a project leaves out is as for all. In the file "
        "`[quotas.projects.PROJECT_ID]` with lines such as `elb = 5`, elsewhere JSON. A later source replaces all.",
    )

    def of_project(self, own: ProjectQuotas) -> Self:
        """The quotas in force for a project that has some of its own."""
        return replace(self, **own.given(), projects=())


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    busy_mark: int = _setting(
        1000,
        Integer(0, 10_000_000),
        "Unfinished jobs from which a task is answered with 202 in place of 200. 0: never.",
    )
    hard_mark: int = _setting(
        10_000,
        Integer(1, 10_000_000),
        "Unfinished jobs from which a task is rejected with 503. Must be above `busy_mark`.",
    )
    retention: float = _setting(30.0, Number(0, 36_500), "Days for which the service keeps an ended job.")
    time_limit: float = _setting(
        300.0, Number(0.1, 86_400), "Seconds after which a job that the data plane has not confirmed fails."
    )
    empty_sub_jobs: bool = _setting(
        False,
        Switch(),
        "Whether a job without sub-jobs has `sub_jobs: []`. By default it is left out, which strictly typed clients "
        "need.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    forbidden: NetworkTuple = _setting(  # noqa: RUF009 - a field, as every setting; a tuple, as frozen as any
        "169.254.0.0/16,fe80::/10,fd00:ec2::254/128",
        NetworkList(),
        "Networks to which the service never sends a webhook, whatever the host name. By default the addresses "
        "where machines of a cloud find their credentials. If you do not trust the tenants, add 127.0.0.0/8, "
        "::1/128 and your own networks.",
    )
    timeout: float = _setting(5.0, Number(0.1, 60), "Seconds in which a webhook must answer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    region: str = _setting(
        "region-1",
        Text(r"[A-Za-z0-9-]{1,64}", "1 to 64 letters, digits and hyphens"),
        "Region id in the catalogue. The first project is called REGION_demo.",
    )
    token_lifetime: int = _setting(86_400, Integer(1, 31_536_000), "Seconds for which a token is valid.")
    keystone_url: str = _setting(
        "",
        Text(r"|https?://[^/?#@\s]+(/[^?#\s]*)?", "empty, or a URL that begins with http:// or https://"),
        "Root of an external Keystone, with or without /v3 at its end. Empty: the built-in identity.",
    )
    keystone_timeout: float = _setting(5.0, Number(0.1, 60), "Seconds in which Keystone must answer; 504 otherwise.")
    keystone_cache: float = _setting(
        60.0,
        Number(0, 3600),
        "Seconds for which the service caches Keystone's answer about a token. A revoked token stays valid for up "
        "to this time.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    request_time_limit: float = _setting(
        10.0, Number(0.1, 3600), "Seconds in which head and body of a request must arrive; 408 otherwise."
    )
    max_body: int = _setting(1_048_576, Integer(1024, 1_073_741_824), "Bytes of the largest body of a request.")
    gateway_secret: str = _setting(
        "",
        Text(r"|[!-~]{16,256}", "empty, or 16 to 256 printable ASCII characters without spaces"),
        "The password with which an authenticating gateway passes requests on (`Proxy-Authorization: Basic`, any "
        "user name); 407 without it. Empty: no gateway is needed. `--set` rejects it: other users can read "
        "command lines.",
        hide=hide_all,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    listen: str = _setting(
        "",
        Text(r"|([^\s:\[\]]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}", "empty, or HOST:PORT, for example 0.0.0.0:7443"),
        "Where nodes on other machines reach this controller. Empty: `equipoise controller` listens on 0.0.0.0:7443, "
        "and `equipoise up` accepts no such nodes.",
    )
    certificate_lifetime: int = _setting(
        86_400,
        Integer(2, 31_536_000),
        "Seconds for which the certificate of a node is valid. The node renews it when half of them are over. A node "
        "that reaches no controller for the other half has to join again.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvoySettings:
    concurrency: int = _setting(0, Integer(0, 1024), "Worker threads of Envoy. 0: one for each core.")
    tcp_keepalive: int = _setting(
        300,
        Integer(0, 32_767),
        "Seconds of silence after which the kernel probes the other side of a TCP connection, client or member. "
        "After 4 unanswered probes, up to 15 s apart, it ends the connection. 0: no probes. A new value starts a "
        "new Envoy; connections of the old one continue for `envoy.drain_time`.",
    )
    drain_time: float = _setting(
        600.0,
        Number(0, 604_800),
        "Seconds for which an Envoy that was replaced, by an upgrade or by other settings, keeps its connections; "
        "then it cuts them.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSettings:
    slow_start: int = _setting(
        10,
        Integer(0, 300),
        "Seconds in which the share of a member that failed its health check and passes it again rises from a "
        "tenth to its full share, on HTTP, HTTPS and TCP listeners with roundrobin. 0: at once. A new member has "
        "its full share at once.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSettings:
    interval: float = _setting(
        15.0, Number(0.5, 300), "Seconds between two traffic samples; per-second values cover this time."
    )
    packets: Literal["auto", "off"] = _setting(
        "auto",
        Choice(("auto", "off")),
        "Whether the kernel counts packets: wherever it can be done, or never. Where it is not done, in_pps and "
        "out_pps are 0.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLogSettings:
    listeners: ListenerTuple = _setting(  # noqa: RUF009 - a field, as every setting; a tuple, as frozen as any
        "",
        ListenerList(),
        "The listeners of which each request, connection or session is written to `log/access.json` in the data "
        "directory. `*`: all, also those that are created later.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    access: Literal["local", "token", "open"] = _setting(
        "local",
        Choice(("local", "token", "open")),
        "Who may read `/metrics`, which covers all projects. local: anyone who asks from this machine, by its "
        "loopback address and through no proxy, and others with the token; with `http.gateway_secret` the same as "
        "token. token: anyone who has the token. open: anyone.",
    )
    token_file: str = _setting(
        "",
        Text(r"|/[^\0\n]+", "empty, or an absolute path"),
        "Where the token for `/metrics` is. Empty: `metrics.token` in the data directory. Made when it is missing.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthSettings:
    enforcement: Literal["auto", "off"] = _setting(
        "auto",
        Choice(("auto", "off")),
        "Whether the kernel limits External load balancers to their bandwidth: wherever it can be done, or never. "
        "Where it is not done, jobs carry a warning.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    format: Literal["json", "console"] = _setting(
        "json", Choice(("json", "console")), "JSON lines, or text for people."
    )
    level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", Choice(("debug", "info", "warning", "error")), "The least important messages that are written."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force: `settings.api.sync_wait`."""

    addresses: AddressSettings = field(default_factory=AddressSettings)
    networks: NetworkSettings = field(default_factory=NetworkSettings)
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    certificates: CertificateSettings = field(default_factory=CertificateSettings)
    quotas: QuotaSettings = field(default_factory=QuotaSettings)
    jobs: JobSettings = field(default_factory=JobSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    nodes: NodeSettings = field(default_factory=NodeSettings)
    envoy: EnvoySettings = field(default_factory=EnvoySettings)
    members: MemberSettings = field(default_factory=MemberSettings)
    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    access_log: AccessLogSettings = field(default_factory=AccessLogSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    bandwidth: BandwidthSettings = field(default_factory=BandwidthSettings)
    log: LogSettings = field(default_factory=LogSettings)

    def shown(self) -> dict[str, str]:
        """Name -> value in force, fit for a log: secrets are redacted."""
        return {
            name: _shown(row, getattr(getattr(self, name.split(".")[0]), name.split(".")[1])) for name, row, _ in rows()
        }

    def shared(self) -> dict[str, str]:
        """The part of `shown` that should be the same for all services on one database."""
        return {name: value for name, value in self.shown().items() if name.startswith(_SHARED)}


_SHARED: Final = (
    "access_log.",
    "addresses.",
    "bandwidth.",
    "certificates.show_private_key",
    "envoy.tcp_keepalive",
    "identity.",
    "jobs.",
    "members.",
    "networks.",
    "nodes.certificate_lifetime",
    "quotas.",
    "webhooks.",
)
"""Names, or groups, of settings on which the outcome of a request or what is served depends."""


def rows() -> Iterator[tuple[str, Row, Any]]:
    """Name, row and default of every setting, in the order of the table."""
    for group in fields(Settings):
        for setting in fields(group_type(group)):
            yield f"{group.name}.{setting.name}", setting.metadata["row"], setting.default


def group_type(group: "Field[Any]") -> Any:
    """The class of a group."""
    return group.default_factory


def _shown(row: Row, value: object) -> str:
    return str(value) if row.hide is None else row.hide(str(value))
