"""Every setting of the service, in one table: name, type, default, range, help. Read once; nothing else reads them."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self, TypeVar

from equipoise.domain.networks import Networks as Vpcs
from equipoise.domain.quotas import LARGEST, SMALLEST
from equipoise.domain.references import is_reference

ENVIRONMENT_PREFIX: Final = "EQUIPOISE_"
COMMAND_LINE: Final = "--set"
# A cluster that runs the service under its own name puts such variables into every container.
_FOREIGN_VARIABLE: Final = re.compile(r"EQUIPOISE_(SERVICE_(HOST|PORT)|PORT)(_\w+)?")
_PASSWORD: Final = re.compile(r"(//[^:/?#@]*:).*@")
_SECRET_PARAMETER: Final = re.compile(r"([?&][^=&]*(?:pass|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)

_LISTENER_ID: Final = re.compile("[0-9a-f]{32}")

QUOTAS: Final = ("elb", "listener", "member")

Bounded = TypeVar("Bounded", int, float)


class SettingsError(Exception):
    """Settings that cannot be used. One line for each: the setting, what was given, what is allowed."""


class Kind(Protocol):
    """What a setting may hold. `allowed` finishes the sentence "must be ..."."""

    @property
    def allowed(self) -> str: ...

    def parse(self, given: object) -> Any:
        """The value, from a text or from a value of TOML; ValueError when it is not allowed."""


def _within(value: Bounded, low: Bounded, high: Bounded) -> Bounded:
    # Written so that NaN, which is neither below nor above, is refused.
    if not low <= value <= high:
        raise ValueError
    return value


@dataclass(frozen=True, slots=True)
class Integer:
    low: int
    high: int

    @property
    def allowed(self) -> str:
        return f"a whole number, {self.low} to {self.high}"

    def parse(self, given: object) -> int:
        if isinstance(given, bool) or not isinstance(given, int | str):
            raise ValueError
        return _within(int(given), self.low, self.high)


_QUOTA: Final = Integer(SMALLEST, LARGEST)


@dataclass(frozen=True, slots=True)
class Number:
    low: float
    high: float

    @property
    def allowed(self) -> str:
        return f"a number, {self.low:g} to {self.high:g}"

    def parse(self, given: object) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise ValueError
        return _within(float(given), self.low, self.high)


@dataclass(frozen=True, slots=True)
class Choice:
    names: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return "one of " + ", ".join(self.names)

    def parse(self, given: object) -> str:
        if given not in self.names:
            raise ValueError
        return str(given)


@dataclass(frozen=True, slots=True)
class Switch:
    allowed: str = "true or false"

    def parse(self, given: object) -> bool:
        if given in ("true", "false"):
            return given == "true"
        if not isinstance(given, bool):
            raise ValueError
        return given


@dataclass(frozen=True, slots=True)
class Text:
    pattern: str
    allowed: str

    def parse(self, given: object) -> str:
        if not isinstance(given, str) or not re.fullmatch(self.pattern, given):
            raise ValueError
        return given


@dataclass(frozen=True, slots=True)
class Network:
    allowed: str = "an IPv4 network in CIDR form with a prefix of 8 to 30 bits, for example 127.77.0.0/16"

    def parse(self, given: object) -> IPv4Network:
        if not isinstance(given, str) or "/" not in given:
            raise ValueError
        network = IPv4Network(given)
        _within(network.prefixlen, 8, 30)
        return network


def _listed(given: object) -> list[str]:
    """The names of a list, or of a text with commas between them; an empty text is an empty list."""
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError
    return [name for name in names if name or len(names) > 1]


class NameTuple(tuple[str, ...]):
    """Names; as a text as they are written."""

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(self)


class ListenerTuple(NameTuple):
    """Ids of listeners, or `*` alone for all."""

    __slots__ = ()

    def names(self, listener_id: str) -> bool:
        """Whether this listener is among them."""
        return "*" in self or listener_id in self


@dataclass(frozen=True, slots=True)
class ListenerList:
    allowed: str = "empty, `*`, or ids of listeners (32 hexadecimal characters), separated by commas"

    def parse(self, given: object) -> ListenerTuple:
        found = ListenerTuple(_listed(given))
        if found != ("*",) and not all(map(_LISTENER_ID.fullmatch, found)):
            raise ValueError
        return found


@dataclass(frozen=True, slots=True)
class ReferenceList:
    allowed: str = "empty, or names of 1 to 64 letters, digits, - _ . and :, separated by commas"

    def parse(self, given: object) -> NameTuple:
        return NameTuple(map(_reference, _listed(given)))


class NetworkTuple(tuple[IPv4Network | IPv6Network, ...]):
    """Networks of either kind; as a text as they are written."""

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(map(str, self))


@dataclass(frozen=True, slots=True)
class NetworkList:
    allowed: str = "empty, or networks of IPv4 or IPv6 in CIDR form, separated by commas"

    def parse(self, given: object) -> NetworkTuple:
        return NetworkTuple(map(ip_network, _listed(given)))


@dataclass(frozen=True, slots=True)
class NetworkTable:
    """VPCs by id, each with its subnets: id -> pool. As a text it is the same in JSON."""

    allowed: str = (
        'VPCs by id, each with its subnets and their address pools, such as {"vpc-1": {"subnets": {"subnet-1": '
        '"127.78.1.0/24"}}}, where no pool overlaps another'
    )

    def parse(self, given: object) -> Vpcs:
        return Vpcs({_reference(id): self._subnets(vpc) for id, vpc in _table(given).items()})

    def _subnets(self, vpc: object) -> dict[str, IPv4Network]:
        if not isinstance(vpc, dict) or vpc.keys() - {"subnets"} or not isinstance(vpc.get("subnets", {}), dict):
            raise ValueError
        return {_reference(id): Network().parse(pool) for id, pool in vpc.get("subnets", {}).items()}


def _reference(id: str) -> str:
    if not is_reference(id):
        raise ValueError
    return id


def _table(given: object) -> dict[str, Any]:
    """A table of TOML, or the same in JSON; nothing is an empty one."""
    table = json.loads(given) if isinstance(given, str) and given else given or {}
    if not isinstance(table, dict):
        raise ValueError
    return table


@dataclass(frozen=True, slots=True)
class ProjectQuotas:
    """The quotas of one project; None is as for all."""

    project_id: str
    elb: int | None = None
    listener: int | None = None
    member: int | None = None

    def above(self, common: "Quotas") -> "Quotas":
        """The quotas in force for this project, where `common` are those of all."""
        own = {name: value for name in QUOTAS if (value := getattr(self, name)) is not None}
        return replace(common, **own, projects=())


@dataclass(frozen=True, slots=True)
class QuotasByProject:
    """Project ids, each with quotas of its own. As a text it is the same in JSON."""

    allowed: str = (
        'project ids, each with some of elb, listener and member (whole numbers as above), such as {"ID": {"elb": 5}}'
    )

    def parse(self, given: object) -> tuple[ProjectQuotas, ...]:
        return tuple(self._of_one(id, own) for id, own in _table(given).items())

    def _of_one(self, project_id: str, own: object) -> ProjectQuotas:
        if not isinstance(own, dict) or not own or not own.keys() <= set(QUOTAS):
            raise ValueError
        return ProjectQuotas(project_id, **{name: _QUOTA.parse(value) for name, value in own.items()})


@dataclass(frozen=True, slots=True)
class Row:
    """What the table says about one setting, beside its name and default.

    A secret one has `hide`, which makes of its value what people and logs may see.
    """

    kind: Kind
    help: str
    hide: Callable[[str], str] | None = None


def _setting(default: object, kind: Kind, text: str, *, hide: Callable[[str], str] | None = None) -> Any:
    return field(default=kind.parse(default), repr=hide is None, metadata={"row": Row(kind, text, hide)})


def _hide_password(url: str) -> str:
    """Rather too much than too little: up to the last `@`, since a password may hold any character."""
    return _SECRET_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***@", url))


def _hide_all(secret: str) -> str:
    return "***" if secret else ""


# The table. A class is a group, a line is a setting: `Api.sync_wait` is `api.sync_wait`.


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    external: IPv4Network = _setting(  # noqa: RUF009 - makes a field, not a value
        "127.77.0.0/16", Network(), "The pool of elastic IPs, for type External."
    )
    internal: IPv4Network = _setting(  # noqa: RUF009 - makes a field, not a value
        "127.78.0.0/16", Network(), "The pool of private addresses, for type Internal. Must not overlap `external`."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    vpcs: Vpcs = _setting(  # noqa: RUF009 - makes a field, not a value
        "",
        NetworkTable(),
        "The VPCs and IPv4 subnets that there are; then no others are taken, and an Internal load balancer gets its "
        "address from the pool of its subnet. Empty: every well-formed id is taken, addresses come from "
        "`addresses.internal`.",
    )
    zones: NameTuple = _setting(  # noqa: RUF009 - a field, as every setting; a tuple, as frozen as any
        "",
        ReferenceList(),
        "The availability zones that there are; then an Internal load balancer with another `az` is refused with 501. "
        "Empty: every well-formed one is taken. It is shown again and changes nothing else.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
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
class Api:
    sync_wait: float = _setting(
        2.0,
        Number(0, 60),
        "Seconds for which a listener, health check or certificate operation waits for the data plane before it "
        "answers with PENDING_CREATE.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    key_file: str = _setting(
        "",
        Text(r"|/[^\0\n]+", "empty, or an absolute path"),
        "The key that encrypts private keys in the database. Empty: `keys/certificate.key` in the data directory. "
        "Services that share a database need the same one; made when it is missing and nothing was encrypted yet.",
    )
    show_private_key: bool = _setting(
        False,
        Switch(),
        "Answer with the private keys of certificates, as published, in place of `******`.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    elb: int = _setting(1000, _QUOTA, "Load balancers in a project.")
    listener: int = _setting(100, _QUOTA, "Listeners of a load balancer.")
    member: int = _setting(1000, _QUOTA, "Members of a listener.")
    projects: tuple[ProjectQuotas, ...] = _setting(
        {},
        QuotasByProject(),
        "Quotas of single projects; what a project leaves out is as for all. In the file "
        "`[quotas.projects.PROJECT_ID]` with lines such as `elb = 5`, elsewhere JSON. A later source replaces all.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    busy_mark: int = _setting(
        1000,
        Integer(0, 10_000_000),
        "Unfinished jobs from which a task is answered with 202 in place of 200. 0: never.",
    )
    hard_mark: int = _setting(
        10_000,
        Integer(1, 10_000_000),
        "Unfinished jobs from which a task is refused with 503. Must be above `busy_mark`.",
    )
    retention: float = _setting(30.0, Number(0, 36_500), "Days for which an ended job can still be asked for.")
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
class Webhooks:
    forbidden: NetworkTuple = _setting(  # noqa: RUF009 - a field, as every setting; a tuple, as frozen as any
        "169.254.0.0/16,fe80::/10,fd00:ec2::254/128",
        NetworkList(),
        "Addresses to which no webhook leads, whatever its name: what users themselves may not reach. By default those "
        "where machines of a cloud find their credentials; with tenants that are not trusted also 127.0.0.0/8, ::1/128 "
        "and the networks of your own.",
    )
    timeout: float = _setting(5.0, Number(0.1, 60), "Seconds in which a webhook must answer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    region: str = _setting(
        "region-1",
        Text(r"[A-Za-z0-9-]{1,64}", "1 to 64 letters, digits and hyphens"),
        "Region id in the catalogue. The first project is called REGION_demo.",
    )
    token_lifetime: int = _setting(86_400, Integer(1, 31_536_000), "Seconds for which a token counts.")
    keystone_url: str = _setting(
        "",
        Text(r"|https?://[^/?#@\s]+(/[^?#\s]*)?", "empty, or a URL that begins with http:// or https://"),
        "Root of an external Keystone, with or without /v3 at its end. Empty: the built-in identity.",
    )
    keystone_timeout: float = _setting(5.0, Number(0.1, 60), "Seconds in which Keystone must answer; 504 otherwise.")
    keystone_cache: float = _setting(
        60.0,
        Number(0, 3600),
        "Seconds for which the answer of Keystone about a token counts: so long a token may outlive its revocation.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    request_time_limit: float = _setting(
        10.0, Number(0.1, 3600), "Seconds in which head and body of a request must arrive; 408 otherwise."
    )
    max_body: int = _setting(1_048_576, Integer(1024, 1_073_741_824), "Bytes of the largest body of a request.")
    gateway_secret: str = _setting(
        "",
        Text(r"|[!-~]{16,256}", "empty, or 16 to 256 printable ASCII characters without spaces"),
        "The password with which an authenticating gateway passes requests on (`Proxy-Authorization: Basic`, any user "
        "name); 407 without it. Empty: everybody may ask. Refused by `--set`: other users can read command lines.",
        hide=_hide_all,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Envoy:
    concurrency: int = _setting(0, Integer(0, 1024), "Worker threads of Envoy. 0: one for each core.")
    tcp_keepalive: int = _setting(
        300,
        Integer(0, 32_767),
        "Seconds for which the other end of a TCP connection, client or member, may say nothing until the kernel asks "
        "whether it is there; if 4 questions, up to 15 s apart, stay without an answer, the connection is ended. 0: it "
        "is never asked. Another value means another Envoy: connections of the old one live on for `envoy.drain_time`.",
    )
    drain_time: float = _setting(
        600.0,
        Number(0, 604_800),
        "Seconds for which connections live on in an Envoy whose place another one has taken, after an upgrade or with "
        "other settings; then they are cut.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    slow_start: int = _setting(
        10,
        Integer(0, 300),
        "Seconds in which a member that has failed its health check and passes it again comes to its full share of an "
        "HTTP, HTTPS or TCP listener with roundrobin, from a tenth of it on. 0: at once. A member that is added has it "
        "at once.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    interval: float = _setting(
        15.0, Number(0.5, 300), "Seconds between two samples of the traffic figures, and over which a rate is told."
    )
    packets: Literal["auto", "off"] = _setting(
        "auto",
        Choice(("auto", "off")),
        "Whether the kernel counts packets: wherever it can be done, or never. Where it is not done, in_pps and "
        "out_pps are 0.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    listeners: ListenerTuple = _setting(  # noqa: RUF009 - a field, as every setting; a tuple, as frozen as any
        "",
        ListenerList(),
        "The listeners of which each request, connection or session is written to `log/access.json` in the data "
        "directory. `*`: all, also those that are created later.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    access: Literal["local", "token", "open"] = _setting(
        "local",
        Choice(("local", "token", "open")),
        "Who may read `/metrics`, which tells of all projects. local: whoever asks from this machine, by its loopback "
        "address and through no proxy, and others with the token; with `http.gateway_secret` the same as token. "
        "token: whoever has the token. open: everybody.",
    )
    token_file: str = _setting(
        "",
        Text(r"|/[^\0\n]+", "empty, or an absolute path"),
        "Where the token for `/metrics` is. Empty: `metrics.token` in the data directory. Made when it is missing.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    enforcement: Literal["auto", "off"] = _setting(
        "auto",
        Choice(("auto", "off")),
        "Whether the kernel limits External load balancers to their bandwidth: wherever it can be done, or never. "
        "Where it is not done, jobs carry a warning.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    format: Literal["json", "console"] = _setting(
        "json", Choice(("json", "console")), "JSON lines, or text for people."
    )
    level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", Choice(("debug", "info", "warning", "error")), "The least important messages that are written."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force: `settings.api.sync_wait`."""

    addresses: Addresses = field(default_factory=Addresses)
    networks: Networks = field(default_factory=Networks)
    database: Database = field(default_factory=Database)
    api: Api = field(default_factory=Api)
    certificates: Certificates = field(default_factory=Certificates)
    quotas: Quotas = field(default_factory=Quotas)
    jobs: Jobs = field(default_factory=Jobs)
    webhooks: Webhooks = field(default_factory=Webhooks)
    identity: Identity = field(default_factory=Identity)
    http: Http = field(default_factory=Http)
    envoy: Envoy = field(default_factory=Envoy)
    members: Members = field(default_factory=Members)
    monitor: Monitor = field(default_factory=Monitor)
    access_log: AccessLog = field(default_factory=AccessLog)
    metrics: Metrics = field(default_factory=Metrics)
    bandwidth: Bandwidth = field(default_factory=Bandwidth)
    log: Log = field(default_factory=Log)

    @classmethod
    def load(
        cls, config: Path | None = None, environ: Mapping[str, str] | None = None, overrides: Sequence[str] = ()
    ) -> Self:
        """Put the sources together; a later one wins: defaults, file, environment, overrides.

        Args:
            config: TOML file, a table for each group.
            environ: variables such as `EQUIPOISE_API_SYNC_WAIT`; others are ignored.
            overrides: `name=value` each.

        Raises:
            SettingsError: with all that is wrong.
        """
        problems: list[str] = []
        given = [
            *_from_file(config, problems),
            *_from_environment(environ or {}, problems),
            *_from_overrides(overrides, problems),
        ]
        values: dict[str, Any] = {}
        for source, name, value in given:
            _take(source, name, value, values, problems)
        settings = cls(**{group.name: _group(group, values) for group in fields(cls)})
        problems += _contradictions(settings)
        if problems:
            raise SettingsError("\n".join(problems))
        return settings

    def shown(self) -> dict[str, str]:
        """Name -> value in force, fit for a log: secrets are redacted."""
        return {
            name: _shown(row, getattr(getattr(self, name.split(".")[0]), name.split(".")[1]))
            for name, row, _ in _rows()
        }


Override = tuple[str, str]
"""The environment variable of a setting, and a value of it."""


def secret_overrides(overrides: Sequence[str]) -> dict[str, Override]:
    """The `name=value` overrides of settings of which one holds a secret, with what says the same in the environment.

    Of several for one setting the last one counts, as everywhere.
    """
    named = [(override, name.strip(), value) for override in overrides for name, _, value in [override.partition("=")]]
    meant = {name: value for _, name, value in named}
    secret = {name for _, name, value in named if _is_secret(name, value)}
    return {override: (_variable(name), meant[name]) for override, name, _ in named if name in secret}


def _is_secret(name: str, value: str) -> bool:
    row = _TABLE.get(name)
    return row is not None and row.hide is not None and row.hide(value) != value


def settings_reference() -> str:
    """The reference page, in Markdown."""
    lines = [
        "# Settings",
        "",
        "Written by `make docs` from `src/equipoise/settings.py`: change it there.",
        "",
        "A later source wins: default, `--config FILE` (TOML, a table for each group), environment variable,",
        "`--set name=value`. An unknown name or a value that is not allowed ends the start with a message.",
        "",
        "Every user of a machine can read command lines. So `--set` refuses `http.gateway_secret`; a `database.url`",
        "with a password is taken, with a warning: the process begins again with it in its environment, which only",
        "its user and root can read. Give both in an environment variable or in the file. PostgreSQL also takes",
        "`PGPASSWORD`, `PGPASSFILE` and `~/.pgpass`.",
        "",
        "| setting | allowed | default | environment | meaning |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {row.kind.allowed} | {_default(default)} | `{_variable(name)}` | {row.help} |"
        for name, row, default in _rows()
    ]
    return "\n".join(lines) + "\n"


def _default(default: object) -> str:
    return "empty" if default in ("", ()) else f"`{default}`"


def _rows() -> Iterator[tuple[str, Row, Any]]:
    """Name, row and default of every setting, in the order of the table."""
    for group in fields(Settings):
        for setting in fields(_group_type(group)):
            yield f"{group.name}.{setting.name}", setting.metadata["row"], setting.default


def _group_type(group: "Field[Any]") -> Any:
    return group.default_factory


def _group(group: "Field[Any]", values: Mapping[str, Any]) -> Any:
    kind = _group_type(group)
    names = {f"{group.name}.{setting.name}": setting.name for setting in fields(kind)}
    return kind(**{short: values[name] for name, short in names.items() if name in values})


_TABLE: Final = {name: row for name, row, _ in _rows()}


def _variable(name: str) -> str:
    return ENVIRONMENT_PREFIX + name.replace(".", "_").upper()


Given = tuple[str, str, object]
"""Where a value comes from, the name of the setting, the value."""


def _from_file(path: Path | None, problems: list[str]) -> Iterator[Given]:
    if path is None:
        return
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        problems.append(f"{path}: {error.strerror}.")
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        # A decoder of TOML names the line and quotes nothing but a character.
        problems.append(f"{path} is not TOML: {error}.")
        return
    for group, entries in content.items():
        if isinstance(entries, dict):
            yield from ((str(path), f"{group}.{name}", value) for name, value in entries.items())
        else:
            yield str(path), group, entries


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> Iterator[Given]:
    names = {_variable(name): name for name in _TABLE}
    for variable, value in environ.items():
        if variable in names:
            yield variable, names[variable], value
        elif variable.startswith(ENVIRONMENT_PREFIX) and not _FOREIGN_VARIABLE.fullmatch(variable):
            problems.append(f"The environment variable {variable} is no setting.{_near(variable, names)}")


def _from_overrides(overrides: Sequence[str], problems: list[str]) -> Iterator[Given]:
    for number, override in enumerate(overrides, start=1):
        name, equals, value = override.partition("=")
        if equals:
            yield COMMAND_LINE, name.strip(), value
        else:
            problems.append(f"--set number {number} must be name=value, for example api.sync_wait=5.")


def _take(source: str, name: str, given: object, values: dict[str, Any], problems: list[str]) -> None:
    row = _TABLE.get(name)
    if row is None:
        problems.append(f"{source}: {name} is no setting.{_near(name, _TABLE)}")
        return
    if source == COMMAND_LINE and row.hide is _hide_all and given:
        problems.append(
            f"{source}: {name} is a secret, and every user of the machine can read a command line; "
            f"give it in the environment variable {_variable(name)} or in the file of --config."
        )
        return
    try:
        values[name] = row.kind.parse(given)
    except (ValueError, OverflowError):
        shown = repr(given) if row.hide is None else "what was given"
        problems.append(f"{source}: {name} must be {row.kind.allowed}; {shown} is not.")


def _contradictions(settings: Settings) -> Iterator[str]:
    """Values that are allowed each, but not together."""
    external, internal = settings.addresses.external, settings.addresses.internal
    if external.overlaps(internal):
        yield f"addresses.internal ({internal}) must not overlap addresses.external ({external})."
    yield from _overlaps(external, settings.networks.vpcs)
    if settings.jobs.busy_mark >= settings.jobs.hard_mark:
        yield (
            f"jobs.hard_mark ({settings.jobs.hard_mark}) must be above jobs.busy_mark ({settings.jobs.busy_mark}); "
            "jobs.busy_mark=0 switches that one off."
        )


def _overlaps(external: IPv4Network, vpcs: Vpcs) -> Iterator[str]:
    """Addresses are those of one machine: whatever the VPC, each belongs to one pool."""
    pools = [("addresses.external", external)]
    for vpc_id, subnets in vpcs.subnets.items():
        for subnet_id, pool in subnets.items():
            name = f"networks.vpcs.{vpc_id}.subnets.{subnet_id}"
            yield from (
                f"{name} ({pool}) must not overlap {other} ({there})." for other, there in pools if pool.overlaps(there)
            )
            pools.append((name, pool))


def _near(name: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.6)
    return f" Near it: {', '.join(near)}." if near else f" There are: {', '.join(known)}."


def _shown(row: Row, value: object) -> str:
    return str(value) if row.hide is None else row.hide(str(value))
